import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from '../../profile.mjs'
import { readJson } from './released.mjs'

const require = createRequire(import.meta.url)
const directory = join(root, 'docs/api')

/** @returns {Record<string, unknown>} the documents by file name */
function documents() {
  const { asyncApiDocument, openApiDocument } = require('@annals/contracts')
  const { version } = readJson(join(root, 'package.json'))
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

/**
 * Writes `docs/api/*.json` from the schemas.
 *
 * @param {boolean} onlyCheck only tells whether they are current
 * @returns {boolean} whether they are current now
 */
export function writeDocuments(onlyCheck) {
  let current = true
  mkdirSync(directory, { recursive: true })
  for (const [name, document] of Object.entries(documents())) {
    const file = join(directory, name)
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
