import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { fill } from '../../bench/log/fill.mjs'
import { history } from '../../bench/log/history.mjs'
import { readLog } from './check-log.mjs'
import { checkPositions, readReadModels } from './check-read-models.mjs'
import { Findings } from './findings.mjs'
import { foldLog } from './fold-log.mjs'

/** A past that ended this long ago sends no mails, and shares no day with what people do now. */
const endedMsAgo = 30 * 24 * 3600 * 1000
/** Two hundred thousand events pass relay and projector within a minute on idle cores. */
const arriveMsMax = 15 * 60_000
const lookEveryMs = 2_000
const sayEvery = 50_000

/**
 * What a system that has been used for long holds, and what is known of it from outside the system.
 *
 * @typedef {object} Past
 * @property {number} events
 * @property {Map<string, string[]>} streams types of events by stream, in order
 * @property {Map<string, { email: string, name: string }>} people by user id
 * @property {Map<string, string | null>} descriptions by payment id
 * @property {Pick<ReturnType<typeof foldLog>, 'payments' | 'users' | 'logins' | 'totals'>} models rows, folded by the check's
 *   own code
 */

/**
 * Fills the log with a past through the official client, and resolves when every read model has applied all of it.
 *
 * @param {Pick<import('./run.mjs').Frame, 'system' | 'say' | 'signal'>} frame
 * @param {number} events
 * @returns {Promise<Past>}
 */
export async function writePast({ system: { env, services }, say, signal }, events) {
  const extent = { events, endsAt: Date.now() - endedMsAgo }
  const past = { events, streams: new Map(), people: new Map(), descriptions: new Map() }
  for (const write of history(extent)) remember(past, write)
  // Keys are written in large steps, after some of the events that they open: nobody is to read those before.
  await services.kill('relay', 'SIGTERM')
  await withDatabase(env.COMMAND_DATABASE_URL, (db) => {
    let said = 0
    const onProgress = (written) => {
      if (written - said < sayEvery) return
      said = written
      say(`${written} of ${events} events of the past are in the log`)
    }
    return fill({ env, db, extent, signal, onProgress })
  })
  await services.restart('relay')
  say(`${events} events of the past are in the log; the read models apply them`)
  const log = await readLog(env.EVENTSTORE_URL)
  await arrived(env, log, { say, signal })
  const { payments, users, logins, totals } = foldLog(log, past)
  return { ...past, models: { payments, users, logins, totals } }
}

function remember({ streams, people, descriptions }, { stream, events }) {
  streams.set(stream, [...(streams.get(stream) ?? []), ...events.map(({ type }) => type)])
  for (const { type, data } of events) {
    if (type === 'user.registered') people.set(data.userId, { email: data.email, name: data.name })
    if (type === 'payment.created') descriptions.set(data.paymentId, data.description)
  }
}

/** Until every read model stands at the end of every partition. */
async function arrived(env, log, { say, signal }) {
  const deadline = Date.now() + arriveMsMax
  for (;;) {
    const findings = new Findings()
    checkPositions(log, await readCheckpoints(env.QUERY_DATABASE_URL), findings)
    if (findings.none) return
    if (Date.now() > deadline) throw new Error(`the past did not arrive in the read models: ${findings.summary()}`)
    say(`  ${findings.count('lost')} partitions of read models are behind`)
    await delay(lookEveryMs, undefined, { signal })
  }
}

const readCheckpoints = async (url) => (await readReadModels(url, { rows: false })).checkpoints

/** @template T @param {string} url @param {(db: Client) => Promise<T>} work @returns {Promise<T>} */
async function withDatabase(url, work) {
  const db = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 60_000 })
  await db.connect()
  try {
    return await work(db)
  } finally {
    await db.end()
  }
}
