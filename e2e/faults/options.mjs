import { parseArgs } from 'node:util'
import { Trouble } from '../../dev/trouble.mjs'

/** What can be killed: processes of the system, and servers. */
export const targets = {
  services: ['relay', 'projector', 'notifier', 'command'],
  servers: ['eventstore', 'kafka'],
}
const targetNames = Object.values(targets).flat()

/** What `--break` can break, in an order in which none hides another; breaks.mjs says how. */
export const promises = [
  'ack',
  'topic-double',
  'relay-checkpoint',
  'topic-order',
  'topic-loss',
  'read-model-row',
  'read-model-count',
  'projection-checkpoint',
  'ledger',
  'ledger-double',
  'inbox',
  'log',
]

/**
 * @typedef {object} Options
 * @property {number} commands
 * @property {number} kills of each target
 * @property {string[]} only targets
 * @property {number} seed
 * @property {string} [json] file
 * @property {string[]} breaks names
 * @property {boolean} selfCheck
 * @property {boolean} keep
 */

/** @param {string[]} args @returns {Options} @throws {Trouble} */
export function readOptions(args) {
  const values = readArguments(args)
  const unknown = values.break.find((name) => !promises.includes(name))
  if (unknown !== undefined) throw new Trouble(`"${unknown}" can not be broken; --break takes ${promises.join(', ')}.`)
  const only = values.only === undefined ? targetNames : values.only.split(',')
  const stranger = only.find((name) => !targetNames.includes(name))
  if (stranger !== undefined)
    throw new Trouble(`"${stranger}" is not killed here; --only takes ${targetNames.join(', ')}.`)
  return {
    only,
    commands: whole('commands', values.commands, 10, 100_000),
    kills: whole('kills', values.kills, 0, 100),
    seed: whole('seed', values.seed, 0, 2 ** 32 - 1),
    json: values.json,
    breaks: values.break,
    selfCheck: values['self-check'],
    keep: values.keep,
  }
}

function readArguments(args) {
  const options = {
    commands: { type: 'string', default: '3000' },
    kills: { type: 'string', default: '10' },
    only: { type: 'string' },
    json: { type: 'string' },
    seed: { type: 'string', default: String(process.pid) },
    break: { type: 'string', multiple: true, default: [] },
    'self-check': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  }
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new Trouble(`${error.message}.`, { remedy: 'the options stand at the top of e2e/faults.mjs.', cause: error })
  }
}

function whole(name, text, min, max) {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new Trouble(`--${name} has to be a whole number from ${min} to ${max}, not "${text}".`)
}
