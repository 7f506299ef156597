import { placeOf } from '@annals/contracts'
import { Client } from 'pg'
import { readLane } from './check-lane.mjs'
import { foldLog } from './fold-log.mjs'

/** Some hundred thousand rows take seconds. */
const queryMsMax = 60_000

/** Where each read model keeps its rows, and how a reader gets one row per key: shards are added up. */
const readModels = {
  users: { schema: 'users', sql: 'select user_id::text as key, * from users.account' },
  logins: {
    schema: 'user_logins',
    sql: `select user_id::text as key, sum(login_count) as login_count, max(last_login_at) as last_login_at
      from user_logins.user_login group by user_id`,
  },
  payments: { schema: 'payments', sql: 'select payment_id::text as key, * from payments.payment' },
  totals: {
    schema: 'payment_totals',
    sql: `select to_char(day, 'YYYY-MM-DD') || ' ' || currency as key,
        sum(created_count) as created_count, sum(created_minor) as created_minor,
        sum(completed_count) as completed_count, sum(completed_minor) as completed_minor,
        sum(failed_count) as failed_count, sum(failed_minor) as failed_minor
      from payment_totals.payment_total group by day, currency`,
  },
  history: { schema: 'payment_history', sql: 'select event_id::text as key, * from payment_history.payment_event' },
  activity: { schema: 'activity', sql: 'select event_id::text as key, * from activity.activity' },
  audit: { schema: 'audit', sql: 'select event_id::text as key, * from audit.entry' },
}

/** @param {string} model as the check calls it @returns {string} as operators do, which is also its schema */
export const schemaOf = (model) => readModels[model].schema

/**
 * @typedef {object} Snapshot of all read models at one moment
 * @property {Record<string, Record<string, unknown>[]>} rows by read model; `key` is a column of each
 * @property {{ model: string, place: string, position: bigint }[]} checkpoints
 * @property {{ model: string, stream: string, error: string | null }[]} parked
 * @property {import('./check-lane.mjs').Lane} [lane]
 */

/**
 * @param {string} url of the read models' database, any role that may select
 * @param {{ rows?: boolean }} [options] `rows: false` leaves them out, and the lane
 * @returns {Promise<Snapshot>}
 */
export async function readReadModels(url, { rows = true } = {}) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: queryMsMax })
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const snapshot = { rows: {}, checkpoints: [], parked: [], lane: rows ? await readLane(client) : undefined }
    for (const [model, { schema, sql }] of Object.entries(readModels)) {
      if (rows) snapshot.rows[model] = (await client.query(sql)).rows
      const checkpoints = await client.query(`select topic, partition, position from ${schema}.checkpoint`)
      for (const { topic, partition, position } of checkpoints.rows)
        snapshot.checkpoints.push({ model, place: `${topic}/${partition}`, position: BigInt(position) })
      const parked = await client.query(`select stream, error from ${schema}.parked`)
      snapshot.parked.push(...parked.rows.map((row) => ({ model, ...row })))
    }
    await client.query('commit')
    return snapshot
  } finally {
    await client.end()
  }
}

/**
 * Promise 3: rows and positions are those of a fresh fold of the log. A missing row or a smaller count is a loss, a second row or a
 * larger count a doubling, anything else is wrong.
 *
 * @param {import('./check-log.mjs').LogEvent[]} events the whole log
 * @param {import('./fold-log.mjs').Sent} sent
 * @param {Snapshot} snapshot
 * @param {import('./findings.mjs').Findings} findings
 */
export function checkReadModels(events, sent, { rows, checkpoints, parked }, findings) {
  for (const [model, expected] of Object.entries(foldLog(events, sent)))
    compareRows(model, expected, rows[model], findings)
  checkPositions(events, checkpoints, findings)
  for (const { model, stream, error } of parked) findings.lost('read-models', `${model}: ${stream} is parked: ${error}`)
}

function compareRows(model, expected, actual, findings) {
  const seen = new Set()
  for (const row of actual) {
    const { key } = row
    const wanted = expected.get(key)
    if (!wanted) findings.wrong('read-models', `${model} ${key}: nothing in the log makes this row`)
    else if (seen.has(key)) findings.doubled('read-models', `${model} ${key}: a second row`)
    else {
      for (const column of Object.keys(wanted))
        compareValue(`${model} ${key}: ${column}`, wanted[column], row[column], findings)
    }
    seen.add(key)
  }
  for (const key of expected.keys()) if (!seen.has(key)) findings.lost('read-models', `${model} ${key}: no row`)
}

function compareValue(place, wanted, found, findings) {
  if (textOf(wanted) === textOf(found)) return
  const what = `${place} is ${textOf(found)}, the log says ${textOf(wanted)}`
  if (typeof wanted !== 'bigint') findings.wrong('read-models', what)
  else if (BigInt(found) < wanted) findings.lost('read-models', what)
  else findings.doubled('read-models', what)
}

/** One form for what the fold has and PostgreSQL answers: times are ISO 8601 in UTC, sets are sorted. */
function textOf(value) {
  if (value instanceof Date) return value.toISOString()
  return Array.isArray(value) ? value.toSorted().join(' ') : String(value)
}

/** Every read model stands at the last event of every partition: its position moved with the rows, neither ahead nor behind. */
export function checkPositions(events, checkpoints, findings) {
  const ends = new Map()
  for (const { stream, position } of events) {
    const place = placeOf(stream)
    if (place) ends.set(`${place.topic}/${place.partition}`, position)
  }
  for (const { model, place, position } of checkpoints) {
    const end = ends.get(place) ?? -1n
    const what = `${model} stands at ${position} of ${place}, which ends at ${end}`
    if (position < end) findings.lost('positions', what)
    if (position > end) findings.wrong('positions', what)
  }
  if (checkpoints.length === 0) findings.lost('positions', 'no read model has a checkpoint')
}
