import { Client } from 'pg'
import { setUpDatabases } from '../../../dev/stack/databases.mjs'

const queryMsMax = 60_000
/** A session that was told to end does so in this time, also one that is in the middle of a statement. */
const endMsMax = 20_000

/**
 * Copies databases and puts the copies in their place, as a restored dump or a failover to an older standby would.
 * Clients are disconnected, and find an older database when they connect again.
 *
 * @param {Record<string, string>} env
 */
export function createDatabases(env) {
  let number = 0

  /** @template T @param {(admin: Client) => Promise<T>} work @returns {Promise<T>} */
  async function asAdmin(work) {
    const admin = new Client({
      connectionString: env.POSTGRES_ADMIN_URL,
      connectionTimeoutMillis: 5_000,
      query_timeout: queryMsMax,
    })
    await admin.connect()
    try {
      return await work(admin)
    } finally {
      await admin.end()
    }
  }

  /** Nobody but the administrator is let in, and those who are there go. The server tells them that it is out of connections. */
  async function clear(admin, database) {
    await admin.query(`alter database ${database} connection limit 0`)
    const deadline = Date.now() + endMsMax
    for (;;) {
      const { rowCount } = await admin.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1',
        [database],
      )
      if (rowCount === 0) return
      if (Date.now() > deadline) throw new Error(`${rowCount} sessions of ${database} do not end`)
    }
  }
  const open = (admin, database) => admin.query(`alter database ${database} connection limit -1`)

  return {
    /** @param {string} database @returns {Promise<string>} the copy's name; its content is that of one moment */
    copy: (database) =>
      asAdmin(async (admin) => {
        const copy = `${database}_copy${++number}`
        const { rows } = await admin.query(
          'select pg_get_userbyid(datdba) as owner from pg_database where datname = $1',
          [database],
        )
        await clear(admin, database)
        try {
          await admin.query(`create database ${copy} template ${database} owner ${rows[0].owner}`)
        } finally {
          await open(admin, database)
        }
        return copy
      }),

    /**
     * @param {string} database
     * @param {string} copy takes its place, and its name
     * @returns {Promise<string>} the name of the one that was there, which stays as it was
     */
    restore: (database, copy) =>
      asAdmin(async (admin) => {
        const former = `${database}_former${++number}`
        await admin.query(`alter database ${copy} connection limit 0`)
        await clear(admin, database)
        await admin.query(`alter database ${database} rename to ${former}`)
        await admin.query(`alter database ${copy} rename to ${database}`)
        await setUpDatabases(env)
        await open(admin, database)
        await open(admin, former)
        return former
      }),
  }
}

/** @param {string} url `postgres://…` @returns {string} */
export const databaseOf = (url) => new URL(url).pathname.slice(1)

/** @param {string} url @param {string} database @returns {string} the same server and role, another database */
export const withDatabase = (url, database) => new URL(`/${database}`, url).href

/** @template T @param {string} url @param {(db: Client) => Promise<T>} work @returns {Promise<T>} */
export async function connected(url, work) {
  const db = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: queryMsMax })
  await db.connect()
  try {
    return await work(db)
  } finally {
    await db.end()
  }
}
