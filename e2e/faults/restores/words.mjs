import { existsSync, readFileSync, statSync } from 'node:fs'
import { logOf } from '../../../dev/stack/processes.mjs'

/** In the order of a fact's way: what comes first is mended first. */
export const speakers = ['relay', 'projector', 'query', 'notifier', 'command']

/**
 * A process that does not go on without an operator's word, as its log tells it.
 *
 * @typedef {object} Refusal
 * @property {string} process
 * @property {string} says its first line
 * @property {number} at when, in epoch ms
 * @property {Choice[]} choices
 *
 * @typedef {object} Choice
 * @property {string} text
 * @property {string[]} commands complete, to be run as they stand, one after the other
 */

/**
 * Listens to what processes say in their logs.
 *
 * @param {import('../../../dev/profile.mjs').Profile} profile
 */
export function createWords(profile) {
  const heardUpTo = Object.fromEntries(speakers.map((name) => [name, sizeOf(logOf(profile, name))]))

  return {
    /** What was said until now counts no longer. @param {readonly string[]} [names] default: all processes */
    forget(names = speakers) {
      for (const name of names) heardUpTo[name] = sizeOf(logOf(profile, name))
    },

    /** @returns {Refusal[]} the latest of each process that has refused since */
    refusals: () =>
      speakers.flatMap((name) => {
        const file = logOf(profile, name)
        if (!existsSync(file)) return []
        const said = readFileSync(file).subarray(heardUpTo[name]).toString()
        const refusals = said.split('\n').flatMap((line) => refusalIn(name, line) ?? [])
        return refusals.slice(-1)
      }),
  }
}

const sizeOf = (file) => (existsSync(file) ? statSync(file).size : 0)

/** @returns {Refusal | undefined} when a line of a log is one: it is an error, and names at least one command */
export function refusalIn(process, line) {
  let said
  try {
    said = JSON.parse(line)
  } catch {
    return undefined
  }
  if (said?.level !== 'error' && said?.level !== 'fatal') return undefined
  for (const text of textsOf(said)) {
    const choices = choicesIn(text)
    if (choices.some(({ commands }) => commands.length > 0))
      return {
        process,
        says: text.split('\n', 1)[0],
        at: Date.parse(said.time),
        choices: choices.filter(({ commands }) => commands.length > 0),
      }
  }
  return undefined
}

/** Every text in it, wherever it stands. */
function textsOf(value) {
  if (typeof value === 'string') return [value]
  return value === null || typeof value !== 'object' ? [] : Object.values(value).flatMap(textsOf)
}

/** A command on a line of its own, with or without a prompt. */
const commandLine = /^\s*(?:\$ )?((?:npm run|npx|node) .+?)\s*$/gm

/** Choices are numbered; commands stand on lines of their own. @returns {Choice[]} */
export function choicesIn(text) {
  const numbered = text.split(/^\s*\d+\.\s/m)
  return (numbered.length > 1 ? numbered.slice(1) : numbered).map((part) => ({
    text: part.trim(),
    commands: [...part.matchAll(commandLine)].map(([, command]) => command),
  }))
}
