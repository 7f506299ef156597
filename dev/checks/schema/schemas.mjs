/** The schema that each service's migrations make, beside them as `schema.sql`. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from '../../profile.mjs'
import { dumpSchema } from './dump.mjs'

/** Each has a database of its own. */
export const services = ['command-service', 'projection-service', 'notifier-service']

/** @param {string} service @returns {string} from the repository's root */
export const schemaFile = (service) => `${service}/schema.sql`

const heading = (service) =>
  `-- The schema that ${service}/migrations make together. Read it; do not edit it: \`npm run schema\` writes it, and
-- \`npm test\` compares it with what a new database has after all migrations.\n\n`

/**
 * Makes an empty database, hands it on and drops it.
 *
 * @template T
 * @param {string} adminUrl of a role that may make databases
 * @param {(url: string) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function inNewDatabase(adminUrl, work) {
  const { default: pg } = await import('pg')
  const name = `annals_schema_${randomUUID().slice(0, 8)}`
  const admin = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 5_000, query_timeout: 30_000 })
  await admin.connect()
  try {
    await admin.query(`create database ${name}`)
    try {
      const url = new URL(adminUrl)
      url.pathname = `/${name}`
      return await work(url.href)
    } finally {
      await admin.query(`drop database ${name} with (force)`)
    }
  } finally {
    await admin.end()
  }
}

/**
 * @template T
 * @param {string} url
 * @param {(client: import('pg').Client) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withClient(url, work) {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 30_000 })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/**
 * @param {string} adminUrl
 * @param {string} service
 * @returns {Promise<string>} the text that its schema.sql must have
 */
export function migratedSchema(adminUrl, service) {
  const require = createRequire(import.meta.url)
  const { migrate } = require('@annals/platform/postgres')
  const { createLogger } = require('@annals/platform/log')
  return inNewDatabase(adminUrl, async (url) => {
    await migrate(url, join(root, service, 'migrations'), createLogger('schema', 'silent'))
    return heading(service) + (await withClient(url, dumpSchema))
  })
}

/** @param {string} service @returns {string | undefined} what is written down */
export function writtenSchema(service) {
  const file = join(root, schemaFile(service))
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** @param {string} service @param {string} text */
export const writeSchema = (service, text) => writeFileSync(join(root, schemaFile(service)), text)
