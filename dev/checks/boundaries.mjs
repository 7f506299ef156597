/**
 * `npm run lint:boundaries`: which folder may import which (DESIGN: a service never imports another; the domain is pure).
 * Imports are read with regular expressions, which is enough for sources that Prettier has formatted.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import { root } from '../profile.mjs'

const services = ['command-service', 'projection-service', 'notifier-service']
const packages = {
  '@annals/contracts': 'contracts',
  '@annals/platform': 'platform',
  ...Object.fromEntries(services.map((service) => [`@annals/${service}`, service])),
}

const areas = ['accounts', 'sessions', 'payments']
/** Sources that are pure: the same input gives the same output, and nothing else happens. */
const pure =
  /^(command-service\/src\/[^/]+\/domain|projection-service\/src\/projections|notifier-service\/src\/rules)\//
/** Folders of pure sources may import these beside contracts and themselves. */
const pureToo = [
  'command-service/src/core/decider',
  'command-service/src/core/rejected',
  'projection-service/src/engine/definition/',
  'notifier-service/src/vocabulary',
]

/**
 * A rule speaks about the sources that `in` matches (`except` does not) and says what is wrong with one import.
 * `to` is the workspace folder an import leads to, or undefined for a package from outside; `path` where it leads within ours.
 *
 * @typedef {{ specifier: string, file: string, to?: string, path?: string }} Import
 * @type {{ in: RegExp, except?: RegExp, wrong: (found: Import) => string | false | undefined }[]}
 */
const rules = [
  ...services.map((service) => ({
    in: new RegExp(`^${service}/`),
    wrong: (/** @type {Import} */ { to }) =>
      services.includes(to) && to !== service && 'a service never imports another service',
  })),
  {
    in: /^contracts\/src\//,
    wrong: ({ specifier, to }) => to !== 'contracts' && !/^zod(\/|$)/.test(specifier) && 'contracts imports zod only',
  },
  {
    in: pure,
    wrong: ({ file, to, path }) =>
      to !== 'contracts' &&
      !path?.startsWith(pure.exec(file)[0]) &&
      !pureToo.some((allowed) => path?.startsWith(allowed)) &&
      'what is pure imports contracts and its own folder only',
  },
  ...areas.map((area) => ({
    in: new RegExp(`^command-service/src/${area}/`),
    wrong: (/** @type {Import} */ { path }) => {
      const [, into] = /^command-service\/src\/([^/]+)\//.exec(path ?? '') ?? []
      const allowed = [undefined, 'core', area, ...(area === 'sessions' ? ['accounts'] : [])]
      return !allowed.includes(into) && 'an area imports core, and sessions accounts; no other area and no process'
    },
  })),
  {
    in: /^command-service\/src\/core\//,
    wrong: ({ path }) =>
      path?.startsWith('command-service/') &&
      !path.startsWith('command-service/src/core/') &&
      'core imports no area and no process',
  },
  {
    in: /^notifier-service\/src\/vocabulary\.ts$/,
    wrong: ({ to }) => to !== 'contracts' && 'the vocabulary imports nothing, save types of contracts',
  },
  {
    in: /^platform\/src\//,
    wrong: ({ to }) => to !== undefined && to !== 'platform' && 'platform knows no event and no service',
  },
  {
    in: new RegExp(`^(contracts|platform|${services.join('|')})/`),
    except: /^platform\/src\/kafka\//,
    wrong: ({ specifier }) => specifier === 'kafkajs' && 'only platform/src/kafka imports kafkajs',
  },
]

/** Files that start a process: they alone read its environment. */
const isMain = (file) => /(^|\/)(main|migrate|cli)\.ts$/.test(file) || file.startsWith('platform/src/testing/')

/** @param {string} file @param {string} text @returns {string[]} one sentence per violation */
export function violations(file, text) {
  const code = withoutComments(text)
  const found = []
  for (const specifier of importsOf(code)) {
    const target = resolve(file, specifier)
    for (const rule of rules) {
      if (!rule.in.test(file) || rule.except?.test(file)) continue
      const wrong = rule.wrong({ specifier, file, ...target })
      if (wrong) found.push(`${file} imports ${specifier}: ${wrong}.`)
    }
  }
  if (pure.test(file) && /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(/.test(code))
    found.push(`${file} asks the clock or chance: what is pure is given both.`)
  if (/\bprocess\s*\.\s*env\b|\benv\b[^\n]*from 'node:process'/.test(code) && !isMain(file)) {
    found.push(`${file} reads process.env: only a main file does, and passes what it read on.`)
  }
  return found
}

/** Folders whose parts import each other in one direction only: so each can be read, and changed, without the others above it. */
const layered = [
  ...['contracts', 'platform', ...services].map((workspace) => `${workspace}/src`),
  'projection-service/src/engine',
  'projection-service/src/replay',
]

/**
 * Cycles among the parts of the layered folders; a part is a folder, or a file, directly in one. Imports of types count: they hide
 * that two folders speak of the same thing, which then belongs into one of them or into a third.
 *
 * @param {ReadonlyMap<string, string>} sources text by file
 * @returns {string[]} one sentence per import that closes a cycle
 */
export const cycles = (sources) => layered.flatMap((folder) => cyclesIn(folder, sources))

function cyclesIn(folder, sources) {
  const partOf = (path) =>
    path
      .slice(folder.length + 1)
      .split('/')[0]
      .replace(/\.[cm]?ts$/, '')
  /** @type {Map<string, Map<string, string[]>>} imports by the part that imports and the part that is imported */
  const imports = new Map()
  for (const [file, text] of sources) {
    if (!file.startsWith(`${folder}/`)) continue
    for (const specifier of importsOf(withoutComments(text))) {
      const { path } = resolve(file, specifier)
      if (!path?.startsWith(`${folder}/`) || partOf(path) === partOf(file)) continue
      const from = imports.get(partOf(file)) ?? new Map()
      imports.set(
        partOf(file),
        from.set(partOf(path), [...(from.get(partOf(path)) ?? []), `${file} imports ${specifier}`]),
      )
    }
  }
  const reached = (part, seen = new Set()) => {
    for (const next of imports.get(part)?.keys() ?? []) if (!seen.has(next)) reached(next, seen.add(next))
    return seen
  }
  return [...imports].flatMap(([part, others]) =>
    [...others].flatMap(([other, found]) =>
      reached(other).has(part)
        ? found.map(
            (sentence) => `${sentence}: ${other} leads back to ${part} in ${folder}. Part them, types included.`,
          )
        : [],
    ),
  )
}

function importsOf(code) {
  const forms = [
    /\b(?:import|export)\s[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /\bimport\s*['"]([^'"]+)['"]/g,
    /\b(?:import|require)\(\s*['"]([^'"]+)['"]/g,
  ]
  return [...new Set(forms.flatMap((form) => [...code.matchAll(form)].map(([, specifier]) => specifier)))]
}

function resolve(file, specifier) {
  if (specifier.startsWith('.')) {
    const path = posix.join(posix.dirname(file), specifier)
    return { path, to: path.split('/')[0] }
  }
  const name = Object.keys(packages).find((each) => specifier === each || specifier.startsWith(`${each}/`))
  return { to: name && packages[name] }
}

/** Comments go; a `//` inside a string (an address) stays. */
const withoutComments = (text) =>
  text.replaceAll(
    /('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, kept) => kept ?? '',
  )

function checkAll() {
  const files = ['contracts', 'platform', ...services].flatMap((folder) =>
    readdirSync(join(root, folder, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => posix.join(folder, 'src', file.replaceAll('\\', '/'))),
  )
  const sources = new Map(files.toSorted().map((file) => [file, readFileSync(join(root, file), 'utf8')]))
  const found = [...[...sources].flatMap(([file, text]) => violations(file, text)), ...cycles(sources)]
  for (const sentence of found) console.error(sentence)
  if (files.length === 0) console.error('No sources were found.')
  console.log(`${files.length} files, ${found.length} violations of the folder rules.`)
  return found.length === 0 && files.length > 0
}

if (process.argv[1] === import.meta.filename && !checkAll()) process.exitCode = 1
