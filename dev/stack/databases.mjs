/**
 * The databases and roles of the system, made from the very URLs the services will use. It can be repeated, and a changed
 * password is taken over. The native stack calls it; `node dev/stack/databases.mjs` does the same for any other server, given
 * POSTGRES_ADMIN_URL and the five *_DATABASE_URL variables (the compose file runs it so).
 */
import { pathToFileURL } from 'node:url'

/** Who owns a database, and who else may connect to it. */
const databases = [
  { owner: 'COMMAND_DATABASE_URL', readers: ['SUBJECT_KEYS_DATABASE_URL'] },
  { owner: 'PROJECTION_DATABASE_URL', readers: ['QUERY_DATABASE_URL'] },
  { owner: 'NOTIFIER_DATABASE_URL', readers: [] },
]

/**
 * @param {Record<string, string | undefined>} env POSTGRES_ADMIN_URL and the *_DATABASE_URL variables
 * @throws {Error} when a variable is missing or the server does not answer
 */
export async function setUpDatabases(env) {
  const { default: pg } = await import('pg')
  const admin = new URL(required(env, 'POSTGRES_ADMIN_URL'))
  const plan = databases.map(({ owner, readers }) => ({
    owner: parse(required(env, owner)),
    readers: readers.map((reader) => parse(required(env, reader))),
  }))
  await connected(pg, admin, async (client) => {
    for (const { owner, readers } of plan) {
      for (const role of [owner, ...readers]) await setUpRole(client, role)
      const { rowCount } = await client.query('select from pg_database where datname = $1', [owner.database])
      if (rowCount === 0) await client.query(`create database ${name(owner.database)} owner ${name(owner.role)}`)
      await client.query(`revoke all on database ${name(owner.database)} from public`)
      for (const { role } of readers)
        await client.query(`grant connect on database ${name(owner.database)} to ${name(role)}`)
    }
  })
  const [, readModels] = plan
  await connected(pg, new URL(`/${readModels.owner.database}`, admin), (client) =>
    letReadEverything(client, readModels),
  )
}

async function setUpRole(client, { role, password }) {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role])
  // A role statement takes no parameters; escapeLiteral quotes as the server reads it.
  const rest = `${name(role)} login password ${client.escapeLiteral(password)} nosuperuser nocreatedb nocreaterole`
  await client.query(`${rowCount === 0 ? 'create' : 'alter'} role ${rest}`)
}

/** The query API selects whatever the projector makes, rebuilt tables in schemas made later included; it writes nothing. */
async function letReadEverything(client, { owner, readers }) {
  const [reader] = readers
  const future = `alter default privileges for role ${name(owner.role)} grant`
  await client.query(`${future} usage on schemas to ${name(reader.role)}`)
  await client.query(`${future} select on tables to ${name(reader.role)}`)
}

async function connected(pg, url, work) {
  const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: 3_000, query_timeout: 20_000 })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

function parse(text) {
  const url = new URL(text)
  return {
    role: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  }
}

function required(env, variable) {
  const value = env[variable]
  if (!value) throw new Error(`${variable} is not set.`)
  return value
}

const name = (identifier) => `"${identifier.replaceAll('"', '""')}"`

// No top-level await: Jest loads this module as CommonJS.
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  setUpDatabases(process.env).then(
    () => console.log('Databases and roles are in place.'),
    (error) => {
      console.error(error.message)
      process.exitCode = 1
    },
  )
}
