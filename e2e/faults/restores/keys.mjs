import { readReadModels, schemaOf } from '../check-read-models.mjs'
import { connected, databaseOf, withDatabase } from './databases.mjs'

const readers = ['projector', 'notifier']

/** The database that was there before: a former primary, cut off. @type {string} */
let former

/**
 * The key table goes back to before some registrations, and one of the older rows is lost as well. The former primary still has
 * them. @type {import('./steps.mjs').Step}
 */
export const keys = {
  says: 'the key table is restored from an older copy, and one more row is lost',
  async copy({ env, databases, supervisor }) {
    const copy = await databases.copy(databaseOf(env.COMMAND_DATABASE_URL))
    // Who registers from now on is unknown to readers until the table has been set back.
    await Promise.all(readers.map((name) => supervisor.stop(name)))
    return copy
  },
  async setBack({ env, databases, supervisor, services }, copy) {
    const lost = await connected(withDatabase(env.COMMAND_DATABASE_URL, copy), (db) =>
      db.query(
        `delete from subject_key where subject in (select subject from subject_key order by created_at desc limit 1)`,
      ),
    )
    if (lost.rowCount !== 1) throw new Error('no row of the key table was lost')
    former = await databases.restore(databaseOf(env.COMMAND_DATABASE_URL), copy)
    // What it remembers of the keys is gone as well; it is started again by itself.
    await services.kill('command')
    await Promise.all(readers.map((name) => supervisor.start(name)))
  },
  async asks({ env }) {
    const { parked } = await readReadModels(env.QUERY_DATABASE_URL, { rows: false })
    return parked.find(({ error }) => /key table has no row/.test(error ?? ''))?.error ?? undefined
  },
  /** docs/runbooks/lost-key.md: rows that are missing, and only those, come from the former primary; what was parked is retried. */
  async mend({ env, run }) {
    for (const table of ['subject_key', 'secret_key']) {
      const { rows } = await connected(withDatabase(env.COMMAND_DATABASE_URL, former), (db) =>
        db.query(`select * from ${table}`),
      )
      await connected(env.COMMAND_DATABASE_URL, (db) =>
        db.query(
          `insert into ${table} select * from jsonb_populate_recordset(null::${table}, $1) on conflict do nothing`,
          [
            JSON.stringify(
              rows.map(({ wrapped_key: key, ...row }) => ({ ...row, wrapped_key: key && `\\x${key.toString('hex')}` })),
            ),
          ],
        ),
      )
    }
    const { parked } = await readReadModels(env.QUERY_DATABASE_URL, { rows: false })
    const models = [...new Set(parked.map(({ model }) => schemaOf(model)))]
    for (const model of models) await run(`npm run replay -- parked retry ${model}`)
  },
}
