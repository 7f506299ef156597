/**
 * Checks every Markdown file: a line of prose has at most 120 characters, a cell of a table at most 300. Also checks that
 * docs/decisions/README.md lists every decision. `node dev/checks/prose.mjs --write` wraps lines that are too long and writes
 * the list. It does not shorten cells: a long cell becomes a list, which is work for a person.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { root } from '../profile.mjs'

const lineMax = 120
const cellMax = 300

const decisions = 'docs/decisions'
const listStart = '<!-- list: written by `node dev/checks/prose.mjs --write` -->'
const listEnd = '<!-- end of the list -->'

/** A code span and a link are never broken: a command is copied whole, and a search finds a link's text. */
const words = /(?:`[^`]*`|!?\[[^\]]*\]\([^)]*\)|\S)+/g

/** What Markdown would read as a list or a heading at the beginning of a line stays with the word before it. */
const wordsOf = (text) =>
  text.match(words).reduce((found, word, index) => {
    const joined = index > 1 && /^([-*+#>]|1[.)])$/.test(word)
    return joined ? [...found.slice(0, -1), `${found.at(-1)} ${word}`] : [...found, word]
  }, [])

/** These lines are never wrapped: headings, HTML, horizontal rules. */
const isFixed = (line) => /^\s*(#{1,6} |<|-{3,}$)/.test(line)
const isTable = (line) => /^\s*\|/.test(line)
const isFence = (line) => /^\s*(```|~~~)/.test(line)
const listItem = /^(\s*)([-*+]|\d+[.)]) /

/**
 * Splits a text into blocks: a paragraph or one list item is a block that may be wrapped, anything else is one line.
 *
 * @param {string} text
 * @returns {{ kind: 'prose' | 'table' | 'code' | 'fixed', lines: string[], first: number }[]} `first` counts from 1
 */
function blocksOf(text) {
  const blocks = []
  let fenced = false
  for (const [index, line] of text.split('\n').entries()) {
    const add = (kind) => blocks.push({ kind, lines: [line], first: index + 1 })
    const last = blocks.at(-1)
    if (isFence(line)) {
      fenced = !fenced
      add('code')
    } else if (fenced) add('code')
    else if (isTable(line)) add('table')
    else if (line.trim() === '' || isFixed(line)) add('fixed')
    else if (last?.kind !== 'prose' || listItem.test(line) || last.lines.at(-1).endsWith('  ')) add('prose')
    else last.lines.push(line)
  }
  return blocks
}

/** @param {string[]} lines a paragraph or a list item @returns {string[]} the same, within the width */
function wrap(lines) {
  const [, indent = '', marker = ''] = listItem.exec(lines[0]) ?? [undefined, /^\s*/.exec(lines[0])[0]]
  const hanging = indent + ' '.repeat(marker === '' ? 0 : marker.length + 1)
  const wrapped = []
  let current = ''
  for (const word of wordsOf(lines.map((line) => line.trim()).join(' '))) {
    const start = wrapped.length === 0 ? indent : hanging
    if (current === '') current = word
    else if (`${start}${current} ${word}`.length <= lineMax) current += ` ${word}`
    else {
      wrapped.push(start + current)
      current = word
    }
  }
  return [...wrapped, (wrapped.length === 0 ? indent : hanging) + current]
}

/**
 * @param {string} file its path, for the sentences
 * @param {string} text Markdown
 * @returns {string[]} one sentence per fault
 */
export function proseFaults(file, text) {
  return blocksOf(text).flatMap(({ kind, lines, first }) => {
    if (kind === 'prose') {
      const wide = lines.flatMap((line, index) => (line.length > lineMax ? [{ line, at: first + index }] : []))
      return wide
        .filter(({ line }) => line.trim().match(words).length > 1)
        .map(({ line, at }) => `${file}:${at} has ${line.length} characters, at most ${lineMax} are allowed.`)
    }
    if (kind !== 'table') return []
    const longest = Math.max(...lines[0].split(/(?<!\\)\|/).map((cell) => cell.trim().length))
    return longest > cellMax && !/^[\s|:-]+$/.test(lines[0])
      ? [`${file}:${first} has a cell of ${longest} characters, at most ${cellMax} are allowed: make it a list.`]
      : []
  })
}

/** @param {string} text Markdown @returns {string} the same text; paragraphs with a line that is too long are wrapped */
export const wrapped = (text) =>
  blocksOf(text)
    .flatMap(({ kind, lines }) =>
      kind === 'prose' && lines.some((line) => line.length > lineMax) ? wrap(lines) : lines,
    )
    .join('\n')

/**
 * The list of decisions: number and title of each page, and its status. The status is the line in italics right below the
 * title, if there is one: which decision this one supersedes or amends, or which one supersedes it.
 *
 * @param {Record<string, string>} pages text by file name
 * @returns {string[]} one line per page, by number
 */
export function decisionList(pages) {
  return Object.keys(pages)
    .toSorted()
    .map((name) => {
      const [title, , status] = pages[name].split('\n')
      const [, number, what] = /^# (\d{4}) (.+)$/.exec(title) ?? []
      if (number === undefined || !name.startsWith(`${number}-`))
        throw new Error(`${decisions}/${name}: the first line must be "# ${name.slice(0, 4)} <what was decided>".`)
      const relation = /^\*(.+)\*$/.exec(status ?? '')?.[1].replaceAll(/\[(\d{4})\]\([^)]*\)/g, '$1')
      return `- [${number}](${name}) ${what}${relation ? `. *${relation}*` : ''}`
    })
}

/**
 * @param {string} index the text of docs/decisions/README.md
 * @param {string[]} list from `decisionList`
 * @returns {string} the index with this list in it
 * @throws {Error} when the place of the list is missing
 */
export function withList(index, list) {
  const [before, rest] = index.split(listStart)
  const [, after] = rest?.split(listEnd) ?? []
  if (after === undefined) throw new Error(`${decisions}/README.md lacks "${listStart}" or "${listEnd}".`)
  return `${before}${listStart}\n\n${list.join('\n')}\n\n${listEnd}${after}`
}

const ignored = new Set(['node_modules', 'dist', 'coverage'])

/** @returns {string[]} paths of Markdown files, without folders that are installed, built or hidden */
const markdownFiles = (folder = '') =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return ignored.has(entry.name) || entry.name.startsWith('.') ? [] : markdownFiles(path)
    return path.endsWith('.md') ? [path] : []
  })

function checkAll(write) {
  const faults = []
  const files = markdownFiles().toSorted()
  const texts = Object.fromEntries(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
  const pages = Object.fromEntries(
    files.filter((file) => /^docs\/decisions\/\d{4}-/.test(file)).map((file) => [posix.basename(file), texts[file]]),
  )
  const index = `${decisions}/README.md`
  const listed = withList(texts[index], decisionList(pages))
  for (const file of files) {
    const text = write ? wrapped(file === index ? listed : texts[file]) : texts[file]
    if (text !== texts[file]) writeFileSync(join(root, file), text)
    faults.push(...proseFaults(file, text))
  }
  if (!write && wrapped(listed) !== texts[index])
    faults.push(`${index} does not list the decisions as they are: run node dev/checks/prose.mjs --write.`)
  for (const fault of faults) console.error(fault)
  console.log(`${files.length} Markdown files, ${faults.length} faults.`)
  return faults.length === 0
}

if (process.argv[1] === import.meta.filename && !checkAll(process.argv.includes('--write'))) process.exitCode = 1
