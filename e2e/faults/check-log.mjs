import { EventStoreDBClient, START } from '@eventstore/db-client'
import { decodeConsistencyToken } from '@annals/contracts'

/** Longer than reading some hundred thousand events ever takes; a server that froze must not hang the check. */
const readMsMax = 180_000

/**
 * @typedef {object} LogEvent
 * @property {string} id
 * @property {string} type
 * @property {string} stream
 * @property {number} revision
 * @property {bigint} position
 * @property {any} data
 * @property {any} metadata
 *
 * @typedef {object} Acknowledged a command that was answered with success, as its client remembers it
 * @property {string} kind `register`, `login`, …
 * @property {string} stream where its facts must be
 * @property {string[]} types one of these events is its fact
 * @property {boolean} once the stream holds that fact exactly once
 * @property {string} token the answer's consistency token
 * @property {boolean} [tokenless] its answer has no body, so no token
 */

/**
 * The whole log but the server's own streams, through the official client.
 *
 * @param {string} url `esdb://…`
 * @returns {Promise<LogEvent[]>} in log order
 */
export async function readLog(url) {
  const client = EventStoreDBClient.connectionString(url)
  const events = []
  try {
    for await (const { event } of client.readAll({ direction: 'forwards', fromPosition: START, deadline: readMsMax })) {
      if (!event || event.streamId.startsWith('$')) continue
      const { id, type, streamId: stream, revision, position, data, metadata } = event
      events.push({ id, type, stream, revision: Number(revision), position: position.commit, data, metadata })
    }
  } finally {
    await client.dispose()
  }
  return events
}

/**
 * Promise 1: what was acknowledged is in the log, where the answer said, and once. And the log itself is sound: ids are
 * unique, every stream counts from 0 without a hole.
 *
 * @param {LogEvent[]} events in log order
 * @param {Acknowledged[]} acknowledged
 * @param {import('./findings.mjs').Findings} findings
 * @param {Map<string, string[]>} [past] types of events by stream that were written before, to the last one
 */
export function checkLog(events, acknowledged, findings, past = new Map()) {
  const streams = checkStreams(events, findings)
  checkPast(streams, past, findings)
  for (const command of acknowledged) {
    const inStream = streams.get(command.stream) ?? []
    const facts = inStream.filter(({ type }) => command.types.includes(type))
    if (facts.length === 0) {
      findings.lost('acknowledged', `${command.kind} ${command.stream}: none of ${command.types.join(', ')} in the log`)
      continue
    }
    if (command.once && facts.length > 1)
      findings.doubled('log', `${command.stream} holds ${facts.map(({ type }) => type).join(', ')}`, facts.length - 1)
    if (command.tokenless) continue
    const point = decodeConsistencyToken(command.token)
    if (!point || !inStream.some((event) => event.position === point.position && event.stream === point.stream))
      findings.wrong('acknowledged', `${command.kind} ${command.stream}: its token names no event of the stream`)
  }
  checkNobodyUnknown(streams, [...acknowledged.map(({ stream }) => stream), ...past.keys()], findings)
}

/** @returns {Map<string, LogEvent[]>} events by stream */
function checkStreams(events, findings) {
  const ids = new Set()
  const streams = new Map()
  let before = -1n
  for (const event of events) {
    const { id, stream, revision, position } = event
    if (ids.has(id)) findings.doubled('log', `event ${id} of ${stream} is in the log again at ${position}`)
    ids.add(id)
    if (position <= before) findings.reordered('log', `${stream}@${revision} at ${position} after ${before}`)
    before = position
    const inStream = streams.get(stream) ?? []
    if (revision < inStream.length) findings.doubled('log', `${stream}@${revision} is there twice`)
    if (revision > inStream.length) findings.lost('log', `${stream} has a hole before ${revision}`)
    inStream.push(event)
    streams.set(stream, inStream)
  }
  return streams
}

/** What was written before is there as it was, and nobody has added to it. */
function checkPast(streams, past, findings) {
  for (const [stream, types] of past) {
    const found = (streams.get(stream) ?? []).map(({ type }) => type)
    const what = `${stream} held ${types.join(', ')}, and holds ${found.join(', ') || 'nothing'}`
    if (found.length < types.length) findings.lost('past', what, types.length - found.length)
    else if (found.length > types.length) findings.doubled('past', what, found.length - types.length)
    else if (found.join() !== types.join()) findings.wrong('past', what)
  }
}

/** Every client went on until it was answered: a user or payment that no answer named was made by a repeat that was not recognised. */
function checkNobodyUnknown(streams, answered, findings) {
  const known = new Set(answered)
  for (const stream of streams.keys()) {
    if (/^(user|payment)-/.test(stream) && !known.has(stream))
      findings.doubled('log', `${stream} was made, and no answer named it: a repeated command was not recognised`)
  }
}
