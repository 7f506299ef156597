/**
 * `npm run contracts -- check | release | docs [--check]`
 *
 * check    compares today's event schemas and the golden corpus with what was released; exit code 1 on a break
 * release  records today's schemas and golden examples as released; refuses when `check` would
 * docs     writes docs/api/*.json from the schemas; with --check only tells whether they are current
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const root = path.join(import.meta.dirname, '..')
const require = createRequire(import.meta.url)
const releasedFile = path.join(root, 'contracts/released.json')
const goldenDirectory = path.join(root, 'contracts/golden')
const documentsDirectory = path.join(root, 'docs/api')

const contracts = () => require('@annals/contracts')
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'))
const released = () => {
  try {
    return readJson(releasedFile)
  } catch (error) {
    if (error.code === 'ENOENT') return { schemas: {}, golden: {} }
    throw error
  }
}
const hashOf = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')
const goldenFiles = () => readdirSync(goldenDirectory).filter((name) => name.endsWith('.json'))

/** @returns {string[]} every break of the published language, in words */
function breaks() {
  const { compareSchemas, currentSchemas } = contracts()
  const found = []
  const { schemas, golden } = released()
  const current = currentSchemas()
  for (const [name, schema] of Object.entries(schemas)) {
    const [, type, version] = name.match(/^(.+)\.v(\d+)$/)
    const now = current[type]
    if (!now) found.push(`${type}: the type is gone; events of it are in logs for ever`)
    else if (now.version < Number(version))
      found.push(`${type}: version ${version} was released, ${now.version} is older`)
    else if (now.version === Number(version)) {
      for (const { pointer, direction, what } of compareSchemas(schema, now.schema))
        found.push(`${name}${pointer}: ${what} (${direction}); write a new version with an upcast instead`)
    }
  }
  for (const [name, hash] of Object.entries(golden)) {
    const file = path.join(goldenDirectory, name)
    if (!goldenFiles().includes(name)) found.push(`golden/${name}: the example is gone`)
    else if (hashOf(file) !== hash)
      found.push(`golden/${name}: the example was changed; put it back and add a new version`)
  }
  for (const name of goldenFiles()) {
    const { opened, ...recorded } = readJson(path.join(goldenDirectory, name))
    const result = contracts().decodeEvent({ ...recorded, position: 0n }, opened)
    if (result.kind !== 'event') found.push(`golden/${name}: does not decode: ${result.reason ?? result.kind}`)
  }
  return found
}

function check() {
  const found = breaks()
  for (const line of found) console.error(`  ${line}`)
  const { schemas, golden } = released()
  const fresh = Object.entries(contracts().currentSchemas()).filter(
    ([type, { version }]) => !schemas[`${type}.v${version}`],
  )
  if (fresh.length)
    console.log(`Not released yet: ${fresh.map(([type, { version }]) => `${type}.v${version}`).join(', ')}`)
  console.log(
    found.length
      ? `${found.length} breaking change${found.length === 1 ? '' : 's'}; nothing may be released like this.`
      : `${Object.keys(schemas).length} released schemas hold, ${Object.keys(golden).length} golden examples are untouched and decode.`,
  )
  return found.length === 0
}

function release() {
  if (!check()) return false
  const before = released()
  const schemas = { ...before.schemas }
  for (const [type, { version, schema }] of Object.entries(contracts().currentSchemas()))
    schemas[`${type}.v${version}`] = schema
  const golden = Object.fromEntries(goldenFiles().map((name) => [name, hashOf(path.join(goldenDirectory, name))]))
  writeFileSync(releasedFile, `${JSON.stringify({ schemas, golden }, null, 2)}\n`)
  console.log('Released: contracts/released.json')
  return true
}

/** @returns {Record<string, unknown>} the documents by file name */
function documents() {
  const { asyncApiDocument, openApiDocument } = contracts()
  const { version } = readJson(path.join(root, 'package.json'))
  const { commandRoutes } = require('@annals/command-service')
  const { queryRouteDescriptions } = require('@annals/projection-service')
  const { notifierRoutes } = require('@annals/notifier-service')
  return {
    'asyncapi.json': asyncApiDocument(version),
    'command-api.openapi.json': openApiDocument('Annals command API', version, Object.values(commandRoutes)),
    'notifier-api.openapi.json': openApiDocument('Annals notifier API', version, Object.values(notifierRoutes)),
    'query-api.openapi.json': openApiDocument('Annals query API', version, queryRouteDescriptions),
  }
}

function docs(onlyCheck) {
  let current = true
  mkdirSync(documentsDirectory, { recursive: true })
  for (const [name, document] of Object.entries(documents())) {
    const file = path.join(documentsDirectory, name)
    const text = `${JSON.stringify(document, null, 2)}\n`
    let before
    try {
      before = readFileSync(file, 'utf8')
    } catch {
      before = ''
    }
    if (text === before) continue
    current = false
    if (onlyCheck)
      console.error(`docs/api/${name} does not match the schemas: run "npm run contracts -- docs" and commit it.`)
    else {
      writeFileSync(file, text)
      console.log(`wrote docs/api/${name}`)
    }
  }
  if (current) console.log('docs/api matches the schemas.')
  return current || !onlyCheck
}

const [command, ...rest] = process.argv.slice(2)
const actions = { check, release, docs: () => docs(rest.includes('--check')) }
if (!actions[command]) {
  console.error('Usage: npm run contracts -- check | release | docs [--check]')
  process.exit(2)
}
process.exit(actions[command]() ? 0 : 1)
