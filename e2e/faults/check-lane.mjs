import { placeOf, topics } from '@annals/contracts'

/** Topics that each read model is fed from. */
const topicsOf = {
  users: ['annals.users'],
  user_logins: ['annals.sessions'],
  payments: ['annals.payments'],
  payment_totals: ['annals.payments'],
  payment_history: ['annals.payments'],
  activity: ['annals.users', 'annals.sessions', 'annals.payments'],
  audit: ['annals.users', 'annals.sessions', 'annals.challenges', 'annals.payments'],
}

/** They read the log themselves. */
export const chains = new Set(['audit'])

/**
 * @typedef {object} Lane what the read models share
 * @property {{ stream: string, revision: number, partition: number }[]} streams
 * @property {{ place: string, position: bigint, eventId: string | null }[]} checkpoints
 * @property {{ model: string, place: string, joined: boolean, reason: string | null }[]} places
 * @property {{ model: string, stream: string }[]} blocked
 */

/** @param {import('pg').Client} client in the transaction that is to see all of it @returns {Promise<Lane>} */
export async function readLane(client) {
  const rowsOf = async (sql) => (await client.query(sql)).rows
  const placed = ({ topic, partition, ...rest }) => ({ place: `${topic}/${partition}`, ...rest })
  const streams = await rowsOf('select stream, revision, partition from annals.stream')
  const checkpoints = await rowsOf(
    'select topic, partition, position, position_event as "eventId" from annals.lane_checkpoint',
  )
  const places = await rowsOf('select projection as model, topic, partition, joined, reason from annals.place')
  return {
    streams: streams.map((row) => ({ ...row, revision: Number(row.revision) })),
    checkpoints: checkpoints.map(placed).map((row) => ({ ...row, position: BigInt(row.position) })),
    places: places.map(placed),
    blocked: await rowsOf('select projection as model, stream from annals.blocked'),
  }
}

/**
 * Promise 3, of what the read models share: the revision of each stream and the position of each partition are those of the log, and
 * every read model is in the lane wherever it is fed from.
 *
 * @param {import('./check-log.mjs').LogEvent[]} events the whole log
 * @param {Lane} lane
 * @param {import('./findings.mjs').Findings} findings
 */
export function checkLane(events, { streams, checkpoints, places, blocked }, findings) {
  const published = events.filter(({ stream }) => placeOf(stream))
  checkStreams(new Map(published.map((event) => [event.stream, event])), streams, findings)
  checkCheckpoints(new Map(published.map((event) => [nameOf(placeOf(event.stream)), event])), checkpoints, findings)
  checkPlaces(places, findings)
  for (const { model, stream } of blocked) findings.lost('streams', `${stream} stands still in ${model}`)
}

const nameOf = ({ topic, partition }) => `${topic}/${partition}`

/** @param {Map<string, import('./check-log.mjs').LogEvent>} last event of each stream */
function checkStreams(last, streams, findings) {
  const seen = new Set()
  for (const { stream, revision, partition } of streams) {
    const event = last.get(stream)
    seen.add(stream)
    if (!event) findings.wrong('streams', `the lane knows ${stream}, the log does not`)
    else {
      const what = `${stream} stands at revision ${revision}, the log at ${event.revision}`
      if (revision < event.revision) findings.lost('streams', what)
      if (revision > event.revision) findings.wrong('streams', what)
      const place = placeOf(stream)
      if (partition !== place.partition)
        findings.wrong('streams', `${stream} is of ${nameOf(place)}, and is kept under partition ${partition}`)
    }
  }
  for (const stream of last.keys()) if (!seen.has(stream)) findings.lost('streams', `the lane does not know ${stream}`)
}

/** @param {Map<string, import('./check-log.mjs').LogEvent>} last event of each partition */
function checkCheckpoints(last, checkpoints, findings) {
  for (const [place, { id, position }] of last) {
    const found = checkpoints.find((checkpoint) => checkpoint.place === place)
    if (!found) findings.lost('positions', `the lane has no checkpoint of ${place}`)
    else if (found.position < position)
      findings.lost('positions', `the lane stands at ${found.position} of ${place}, which ends at ${position}`)
    else if (found.position > position || found.eventId !== id)
      findings.wrong('positions', `the lane stands at ${found.position} (${found.eventId}) of ${place}, not ${id}`)
  }
}

function checkPlaces(places, findings) {
  const byName = new Map(places.map((row) => [`${row.model} ${row.place}`, row]))
  for (const [model, read] of Object.entries(topicsOf))
    for (const topic of read)
      for (let partition = 0; partition < topics[topic].partitions; partition++) {
        const name = `${model} ${nameOf({ topic, partition })}`
        const row = byName.get(name)
        byName.delete(name)
        if (!row) findings.lost('places', `${name}: no place`)
        else if (chains.has(model)) {
          if (row.joined) findings.wrong('places', `${name}: a chain is in the lane`)
        } else if (!row.joined) findings.lost('places', `${name}: not in the lane, because ${row.reason}`)
      }
  for (const name of byName.keys()) findings.wrong('places', `${name}: nothing is read from there`)
}
