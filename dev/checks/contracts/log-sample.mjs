import { createHash } from 'node:crypto'
import { createEventLog, StreamDeleted } from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import { field } from '@annals/platform/config'
import { createPool } from '@annals/platform/postgres'
import { createKeyReader, masterKeysOf } from '@annals/platform/subject-keys'
import { readEnvironment } from '../../stack/environment.mjs'
import { openProfile, profileExists } from '../../profile.mjs'
import { Trouble } from '../../terminal/trouble.mjs'
import { streamFindings } from './findings.mjs'

/** Names of so many streams fit into some 20 MB; reading them takes minutes. A larger log gets a smaller sample. */
const streamsMax = 100_000
/** Streams read at the same time: enough to hide the way to the server. */
const concurrency = 8
/** The first ones show the pattern; a broken fold would otherwise list the whole log. */
const findingsMax = 50

/**
 * Whether a stream belongs to the sample: always the same ones, so that a finding can be looked at again.
 *
 * @param {string} stream
 * @param {number} percent 0 to 100
 */
export const isSampled = (stream, percent) =>
  createHash('sha256').update(stream).digest().readUInt32BE() < (percent / 100) * 2 ** 32

/**
 * Takes whole streams of a log through decoding, upcasts and every projection's fold. Only reads.
 *
 * @param {{
 *   log: Pick<import('@annals/platform/event-log').EventLog, 'readAll' | 'readStream'>,
 *   openAll: import('@annals/contracts').OpenAll,
 *   projections: readonly import('@annals/projection-service').Projection[],
 *   percent: number,
 * }} input
 * @returns {Promise<{ streams: number, events: number, found: string[] }>} at most 50 findings, and one that says so
 */
export async function checkLog({ log, openAll, projections, percent }) {
  const streams = []
  for await (const { stream, revision } of log.readAll({ after: undefined })) {
    if (revision !== 0 || !isSampled(stream, percent)) continue
    if (streams.length >= streamsMax) {
      throw new Trouble(`${percent} % of this log are more than ${streamsMax} streams.`, {
        remedy: 'ask for a smaller --sample.',
      })
    }
    streams.push(stream)
  }
  const found = []
  let events = 0
  let next = 0
  const work = async () => {
    while (next < streams.length && found.length < findingsMax) {
      const recorded = await log.readStream(streams[next++]).catch((error) => {
        if (error instanceof StreamDeleted) return []
        throw error
      })
      events += recorded.length
      found.push(...(await streamFindings(projections, recorded, openAll)))
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  if (found.length >= findingsMax) found.splice(findingsMax, Infinity, 'and perhaps more: the search ended here')
  return { streams: streams.length, events, found }
}

/**
 * The same on the log of the running stack, or of whatever system the caller's environment names. Personal data reads as
 * erased unless the environment gives access to the keys.
 *
 * @param {readonly import('@annals/projection-service').Projection[]} projections
 * @param {number} percent
 */
export async function checkRunningLog(projections, percent) {
  const env = await environment()
  if (!env.EVENTSTORE_URL) {
    throw new Trouble('There is no log to read: nothing was ever started here.', {
      remedy: '`npm run stack -- up`, or set EVENTSTORE_URL.',
    })
  }
  const logger = createLogger('contracts', 'warn')
  const log = createEventLog(env.EVENTSTORE_URL, logger)
  const hasKeys = Boolean(env.SUBJECT_KEYS_DATABASE_URL && env.MASTER_KEY)
  const pool = hasKeys ? createPool(env.SUBJECT_KEYS_DATABASE_URL, logger, 2) : undefined
  try {
    const keys = pool && createKeyReader(pool, masterKeysOf(field.keys256().parse(env.MASTER_KEY)))
    const openAll = keys ? (parts) => keys.openAll(parts) : async (parts) => parts.map(() => null)
    return { ...(await checkLog({ log, openAll, projections, percent })), hasKeys }
  } finally {
    await log.close()
    await pool?.end()
  }
}

/** Variables of the caller's shell win. */
async function environment() {
  const name = process.env.ANNALS_PROFILE ?? 'dev'
  if (!profileExists(name)) return process.env
  try {
    return { ...readEnvironment(await openProfile(name)), ...process.env }
  } catch (error) {
    if (error instanceof Trouble && process.env.EVENTSTORE_URL) return process.env
    throw error
  }
}
