import { createHash } from 'node:crypto'
import { seed } from './seed.mjs'

/**
 * Fills a log with history, and the table of subject keys with the keys that open it.
 *
 * @param {object} options
 * @param {Record<string, string>} options.env addresses and keys
 * @param {import('pg').Client} options.db connected to the command service's database
 * @param {import('./history.mjs').Extent} options.extent
 * @param {AbortSignal} options.signal
 * @param {(written: number) => void} [options.onProgress]
 * @returns {ReturnType<typeof seed>}
 */
export function fill({ env, db, extent, signal, onProgress }) {
  const key = Buffer.from(env.MASTER_KEY, 'base64')
  const keyId = `sha256:${createHash('sha256').update(key).digest('hex').slice(0, 16)}`
  return seed({
    url: env.EVENTSTORE_URL,
    extent,
    tenant: env.TENANT,
    master: { id: keyId, key },
    signal,
    onProgress,
    saveKeys: async (rows) => {
      await db.query(
        `insert into subject_key (tenant, subject, wrapped_key, master_key_id)
         select tenant, subject, wrapped_key, $4 from unnest($1::text[], $2::text[], $3::bytea[]) as k (tenant, subject, wrapped_key)`,
        [
          rows.map(({ tenant }) => tenant),
          rows.map(({ subject }) => subject),
          rows.map(({ wrappedKey }) => wrappedKey),
          keyId,
        ],
      )
    },
  })
}

/**
 * Fills the scene's log.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {number} events
 * @returns {ReturnType<typeof seed>}
 */
export function fillLog({ env, signal, step, withDatabase }, events) {
  return step('History', (update) =>
    withDatabase(env.COMMAND_DATABASE_URL, async (db) => {
      const begunAt = performance.now()
      const onProgress = (written) => update(`${written.toLocaleString('en')} of ${events.toLocaleString('en')} events`)
      const counts = await fill({ env, db, extent: { events }, signal, onProgress })
      const perSecond = Math.round(counts.events / ((performance.now() - begunAt) / 1000))
      const text = `${counts.events.toLocaleString('en')} events, ${perSecond.toLocaleString('en')}/s`
      return { value: counts, text }
    }),
  )
}
