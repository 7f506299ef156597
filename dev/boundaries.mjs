/**
 * `npm run lint:boundaries`: which folder may import which (DESIGN: a service never imports another; the domain is pure).
 * Imports are read with regular expressions, which is enough for sources that Prettier has formatted.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import { root } from './profile.mjs'

const services = ['command-service', 'projection-service', 'notifier-service']
const packages = {
  '@annals/contracts': 'contracts',
  '@annals/platform': 'platform',
  ...Object.fromEntries(services.map((service) => [`@annals/${service}`, service])),
}

/**
 * A rule speaks about the sources under `in` (tests and the folders in `except` excepted) and says what is wrong with one import.
 * `to` is the workspace folder an import leads to, or undefined for a package from outside.
 *
 * @typedef {{ specifier: string, to?: string, path?: string }} Import
 * @type {{ in: string, except?: string[], wrong: (found: Import) => string | false | undefined }[]}
 */
const rules = [
  ...services.map((service) => ({
    in: `${service}/`,
    wrong: (/** @type {Import} */ { to }) =>
      services.includes(to) && to !== service && 'a service never imports another service',
  })),
  {
    in: 'contracts/src/',
    wrong: ({ specifier, to }) => to !== 'contracts' && !/^zod(\/|$)/.test(specifier) && 'contracts imports zod only',
  },
  {
    in: 'command-service/src/domain/',
    wrong: ({ to, path }) =>
      to !== 'contracts' && !path?.startsWith('command-service/src/domain/') && 'the domain imports contracts only',
  },
  {
    in: 'platform/src/',
    wrong: ({ to }) => to !== undefined && to !== 'platform' && 'platform knows no event and no service',
  },
  ...['contracts/', 'platform/', ...services.map((service) => `${service}/`)].map((folder) => ({
    in: folder,
    except: ['platform/src/kafka/'],
    wrong: (/** @type {Import} */ { specifier }) =>
      specifier === 'kafkajs' && 'only platform/src/kafka imports kafkajs',
  })),
]

/** Files that start a process: they alone read its environment. */
const isMain = (file) => /(^|\/)(main|migrate|cli)\.ts$/.test(file) || file === 'platform/src/testing/index.ts'

/** @param {string} file @param {string} text @returns {string[]} one sentence per violation */
export function violations(file, text) {
  const code = withoutComments(text)
  const found = []
  for (const specifier of importsOf(code)) {
    const target = resolve(file, specifier)
    for (const rule of rules) {
      if (!file.startsWith(rule.in) || rule.except?.some((folder) => file.startsWith(folder))) continue
      const wrong = rule.wrong({ specifier, ...target })
      if (wrong) found.push(`${file} imports ${specifier}: ${wrong}.`)
    }
  }
  if (/\bprocess\s*\.\s*env\b|\benv\b[^\n]*from 'node:process'/.test(code) && !isMain(file)) {
    found.push(`${file} reads process.env: only a main file does, and passes what it read on.`)
  }
  return found
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
  const found = files.toSorted().flatMap((file) => violations(file, readFileSync(join(root, file), 'utf8')))
  for (const sentence of found) console.error(sentence)
  if (files.length === 0) console.error('No sources were found.')
  console.log(`${files.length} files, ${found.length} violations of the folder rules.`)
  return found.length === 0 && files.length > 0
}

if (process.argv[1] === import.meta.filename && !checkAll()) process.exitCode = 1
