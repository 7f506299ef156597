import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from '../../profile.mjs'
import { readJson } from './released.mjs'

const require = createRequire(import.meta.url)
const directory = join(root, 'docs/api')

/** @returns {Record<string, string>} the documents' texts by file name */
function documents() {
  const { asyncApiDocument, openApiDocument, permissionMatrix } = require('@annals/contracts/tooling')
  const { version } = readJson(join(root, 'package.json'))
  const { commandRoutes } = require('@annals/command-service')
  const { queryRoutes } = require('@annals/projection-service')
  const { notifierRoutes } = require('@annals/notifier-service')
  const apis = {
    command: {
      title: 'Annals command API',
      version,
      description: 'Commands change something. Each is recorded as facts in the event log before it is answered.',
      url: 'http://127.0.0.1:3000',
      routes: commandRoutes,
    },
    notifier: {
      title: 'Annals notifier API',
      version,
      description: 'What was sent to people, and what was not.',
      url: 'http://127.0.0.1:3004',
      routes: notifierRoutes,
    },
    query: {
      title: 'Annals query API',
      version,
      description: 'Queries read the read models. Each answer says how fresh it is.',
      url: 'http://127.0.0.1:3003',
      routes: queryRoutes,
    },
  }
  const json = (document) => `${JSON.stringify(document, null, 2)}\n`
  return {
    'asyncapi.json': json(asyncApiDocument(version)),
    ...Object.fromEntries(
      Object.entries(apis).map(([name, api]) => [`${name}-api.openapi.json`, json(openApiDocument(api))]),
    ),
    'permissions.md': permissionMatrix(Object.values(apis)),
  }
}

/**
 * Writes `docs/api/*` from the schemas and routes.
 *
 * @param {boolean} onlyCheck only tells whether they are current
 * @returns {boolean} whether they are current now
 */
export function writeDocuments(onlyCheck) {
  let current = true
  mkdirSync(directory, { recursive: true })
  for (const [name, text] of Object.entries(documents())) {
    const file = join(directory, name)
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
