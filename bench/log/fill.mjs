import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileSink } from './file-sink.mjs'
import { clientSink, createSeeder } from './seed.mjs'

const { masterKeysOf } = createRequire(import.meta.url)('@annals/platform/subject-keys')

/**
 * Fills a log with history, through the official client, and the table of subject keys with the keys that open it.
 *
 * @param {object} options
 * @param {Record<string, string>} options.env addresses and keys
 * @param {import('pg').Client} options.db connected to the command service's database
 * @param {import('./history.mjs').Extent} options.extent
 * @param {AbortSignal} options.signal
 * @param {(written: number) => void} [options.onProgress]
 * @returns {Promise<import('./seed.mjs').Counts>}
 */
export async function fill({ env, db, extent, signal, onProgress }) {
  const seeder = seederOf({ env, signal, query: (text, values) => db.query(text, values) }, extent)
  const sink = clientSink(env.EVENTSTORE_URL)
  try {
    return await seeder.fill(sink, extent.events, onProgress)
  } finally {
    await sink.close()
  }
}

/**
 * Fills the scene's log.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {number} events
 * @returns {Promise<import('./seed.mjs').Counts>}
 */
export const fillLog = ({ env, signal, step, withDatabase }, events) =>
  fillStep(step, { before: 0, until: events }, (onProgress) =>
    withDatabase(env.COMMAND_DATABASE_URL, (db) => fill({ env, db, extent: { events }, signal, onProgress })),
  )

/**
 * The same without the network, in parts: the event store is stopped while its files grow.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {ReturnType<typeof openHistory>} seeder
 * @param {number} until so many events are in the log then
 */
export const growLog = (scene, seeder, until) =>
  fillStep(scene.step, { before: seeder.counts.events, until }, async (onProgress) => {
    await scene.stopServer('eventstore')
    const sink = fileSink(join(scene.profile.data, 'eventstore'))
    try {
      return await seeder.fill(sink, until, onProgress)
    } finally {
      sink.close()
      await scene.startServer('eventstore')
    }
  })

/**
 * A history that has not been written yet.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {number} events of the whole of it
 */
export const openHistory = ({ env, signal, withDatabase }, events) =>
  seederOf(
    {
      env,
      signal,
      query: (text, values) => withDatabase(env.COMMAND_DATABASE_URL, (db) => db.query(text, values)),
    },
    { events },
  )

function seederOf({ env, signal, query }, extent) {
  const { current: master } = masterKeysOf([Buffer.from(env.MASTER_KEY, 'base64')])
  const { current: secretMaster } = masterKeysOf([Buffer.from(env.SECRETS_MASTER_KEY, 'base64')])
  return createSeeder({
    extent,
    tenant: env.TENANT,
    master,
    secretMaster,
    signal,
    saveSecretKey: ({ id, wrappedKey }) =>
      query('insert into secret_key (tenant, key_id, wrapped_key, master_key_id) values ($1, $2, $3, $4)', [
        env.TENANT,
        id,
        wrappedKey,
        secretMaster.id,
      ]),
    saveKeys: (rows) =>
      query(
        `insert into subject_key (tenant, subject, wrapped_key, master_key_id)
         select tenant, subject, wrapped_key, $4 from unnest($1::text[], $2::text[], $3::bytea[]) as k (tenant, subject, wrapped_key)`,
        [
          rows.map(({ tenant }) => tenant),
          rows.map(({ subject }) => subject),
          rows.map(({ wrappedKey }) => wrappedKey),
          master.id,
        ],
      ),
  })
}

const fillStep = (step, { before, until }, work) =>
  step('History', async (update) => {
    const begunAt = performance.now()
    const counts = await work((written) => {
      update(`${written.toLocaleString('en')} of ${until.toLocaleString('en')} events`)
    })
    const perSecond = Math.round((counts.events - before) / ((performance.now() - begunAt) / 1000))
    const text = `${counts.events.toLocaleString('en')} events, ${perSecond.toLocaleString('en')}/s written`
    return { value: counts, text }
  })
