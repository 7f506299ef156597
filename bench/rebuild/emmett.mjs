import { comparePayments } from './emmett-payments.mjs'

const database = 'annals_bench_emmett'
/** Some 2,000 events a second where nothing else runs; what is slower than a fourth of it is not waited for. */
const rebuildEventsPerSecondMin = 500
const fillEventsPerSecondMin = 200

/**
 * Emmett on the same PostgreSQL, in a database of its own: the same history through its own event store, and the read model
 * `payments` rebuilt from it. The result is compared with ours, row by row.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene whose live read model holds the same events
 * @param {{ events: number, of: number }} options so many events of a history that has `of`
 */
export async function measureEmmett(scene, { events, of }) {
  const { env, withDatabase, withLoad, step } = scene
  const url = new URL(`/${database}`, env.POSTGRES_ADMIN_URL).href
  await withDatabase(env.POSTGRES_ADMIN_URL, async (db) => {
    await db.query(`create database ${database}`)
    // As the projector and the replay have it: a read model can be made again.
    await db.query(`alter database ${database} set synchronous_commit = off`)
  })
  try {
    return await withLoad('emmett', { url }, async (emmett) => {
      const filled = await step('Emmett: history', async () => {
        const value = await emmett.ask('fill', { events, of }, 60_000 + (events / fillEventsPerSecondMin) * 1_000)
        return { value, text: `${whole(value.events)} events, ${whole(value.events / value.seconds)}/s` }
      })
      if (filled.events !== events) throw new Error(`Emmett was to have ${events} events, it has ${filled.events}.`)
      return step('Emmett: rebuild', async () => {
        const withinMs = Math.ceil(60_000 + (events / rebuildEventsPerSecondMin) * 1_000)
        const { seconds, ended } = await emmett.ask('rebuild', { withinMs }, withinMs + 60_000)
        const value = await withDatabase(url, async (theirs) => {
          const { rows } = await theirs.query(
            `select max(last_processed_checkpoint)::bigint::float8 as reached from emt_processors`,
          )
          const compared = await withDatabase(env.PROJECTION_DATABASE_URL, (ours) => comparePayments(ours, theirs))
          const reached = ended ? events : rows[0].reached
          return {
            emmettPerSecond: reached / seconds,
            emmettComplete: ended && compared.missing === 0 && compared.different === 0,
            emmettEvents: reached,
            emmettRows: compared.rows,
            emmettRowsExpected: compared.expected,
            emmettRowsMissing: compared.missing,
            emmettRowsDifferent: compared.different,
            emmettSeconds: seconds,
          }
        })
        const text = `${whole(value.emmettPerSecond)}/s, ${value.emmettComplete ? 'complete' : 'not complete'}`
        return { value, text }
      })
    })
  } finally {
    await withDatabase(env.POSTGRES_ADMIN_URL, (db) => db.query(`drop database ${database} with (force)`))
  }
}

const whole = (number) => Math.round(number).toLocaleString('en')
