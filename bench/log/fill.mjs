import { createHash } from 'node:crypto'
import { seed } from './seed.mjs'

/**
 * Fills the scene's log with history, and the table of subject keys with the keys that open it.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {number} events
 * @returns {ReturnType<typeof seed>}
 */
export function fillLog(scene, events) {
  const { env, step, withDatabase } = scene
  const key = Buffer.from(env.MASTER_KEY, 'base64')
  const keyId = `sha256:${createHash('sha256').update(key).digest('hex').slice(0, 16)}`
  return step('History', (update) =>
    withDatabase(env.COMMAND_DATABASE_URL, async (db) => {
      const begunAt = performance.now()
      const counts = await seed({
        url: env.EVENTSTORE_URL,
        events,
        tenant: env.TENANT,
        master: { id: keyId, key },
        signal: scene.signal,
        onProgress: (written) => update(`${written.toLocaleString('en')} of ${events.toLocaleString('en')} events`),
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
      const perSecond = Math.round(counts.events / ((performance.now() - begunAt) / 1000))
      const text = `${counts.events.toLocaleString('en')} events, ${perSecond.toLocaleString('en')}/s`
      return { value: counts, text }
    }),
  )
}
