import { createRequire } from 'node:module'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const { projections } = require('@annals/projection-service')
const { topicNames } = require('@annals/contracts')
const { EventStoreDBClient, START } = require('@eventstore/db-client')

/** Enough for an average of events that repeat in a pattern of some dozens. */
const sampleMax = 50_000

/**
 * What history weighs where it is kept, once the relay and the projector have been through all of it: the log, the topics, the
 * read models and the keys. Bytes for each event or row; a page on capacity multiplies them.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ events: number, published: number }} history
 */
export function measureWeight({ env, profile, signal, step, withDatabase }, { events, published }) {
  return step('Weight', async () => {
    const { models, bytesPerStream, perEvent } = await withDatabase(
      env.PROJECTION_DATABASE_URL,
      readModelSizes(published),
    )
    const value = {
      /** Of data and metadata as JSON, with the names of stream and type: what any event store has to keep of an event. */
      eventBytes: await averageEvent(env.EVENTSTORE_URL, signal),
      logBytes: bytesBelow(join(profile.data, 'eventstore')) / events,
      kafkaBytes: topicBytes(profile.data) / published,
      readModelBytes: perEvent,
      subjectKeyBytes: await withDatabase(env.COMMAND_DATABASE_URL, (db) => bytesPerRow(db, 'subject_key')),
      bytesPerStream,
      models,
    }
    const shown = (number) => Math.round(number).toLocaleString('en')
    return {
      value,
      text: `log ${shown(value.logBytes)}, Kafka ${shown(value.kafkaBytes)}, read models ${shown(perEvent)} bytes an event`,
    }
  })
}

/** @returns {Promise<number>} bytes of an event's content, over the first of the log */
async function averageEvent(url, signal) {
  const client = EventStoreDBClient.connectionString(url)
  let bytes = 0
  let count = 0
  const read = client.readAll({ fromPosition: START, maxCount: sampleMax })
  try {
    for await (const { event } of read) {
      signal.throwIfAborted()
      if (!event || event.streamId.startsWith('$')) continue
      const text = [event.streamId, event.type, JSON.stringify(event.data), JSON.stringify(event.metadata)]
      bytes += text.reduce((sum, each) => sum + Buffer.byteLength(each), 0)
      count++
    }
  } finally {
    await client.dispose()
  }
  return bytes / count
}

/**
 * Records with their batches, without Kafka's indexes: those are made large beforehand and filled sparsely. A topic that was deleted keeps
 * its folders for a minute, under names that end in `-delete`.
 */
function topicBytes(data) {
  const segments = readdirSync(join(data, 'kafka'), { recursive: true })
  return segments
    .filter((path) => path.endsWith('.log') && !path.includes('-delete'))
    .filter((path) => topicNames.some((topic) => path.startsWith(`${topic}-`)))
    .reduce((sum, path) => sum + statSync(join(data, 'kafka', path)).size, 0)
}

const bytesBelow = (folder) =>
  readdirSync(folder, { recursive: true }).reduce((sum, path) => {
    const { size, isFile } = statOf(join(folder, path))
    return isFile ? sum + size : sum
  }, 0)

function statOf(path) {
  const stat = statSync(path)
  return { size: stat.size, isFile: stat.isFile() }
}

/** With indexes, free space and what TOAST took aside. @returns {Promise<number>} of a row; 0 without rows */
async function bytesPerRow(db, table) {
  const { rows } = await db.query(
    `select pg_total_relation_size('${table}')::float8 / greatest(count(*), 1) as bytes, count(*) as count from ${table}`,
  )
  return Number(rows[0].count) === 0 ? 0 : rows[0].bytes
}

/** Rows of each read model, and the revisions of streams that the lane keeps for all; all of it divided by published events, too. */
const readModelSizes = (published) => async (db) => {
  const models = {}
  let total = 0
  for (const { name, table } of projections) {
    const measured = await db.query(
      `select pg_total_relation_size('${name}.${table}')::float8 as bytes, (select count(*) from ${name}.${table})::float8 as rows`,
    )
    const { bytes, rows } = measured.rows[0]
    total += bytes
    models[name] = { rows, bytesPerRow: rows > 0 ? bytes / rows : 0, bytesPerEvent: bytes / published }
  }
  const lane = await db.query(
    `select pg_total_relation_size('annals.stream')::float8 as bytes, (select count(*) from annals.stream)::float8 as streams`,
  )
  const { bytes, streams } = lane.rows[0]
  total += bytes
  return { models, bytesPerStream: streams > 0 ? bytes / streams : 0, perEvent: total / published }
}
