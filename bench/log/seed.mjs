import { randomBytes, randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { createRandom } from './random.mjs'
import { history } from './history.mjs'

const require = createRequire(import.meta.url)
const { EventStoreDBClient, jsonEvent, NO_STREAM } = require('@eventstore/db-client')
const { encodeEvent, topicOfCategory, categoryOf } = require('@annals/contracts')
const { sealText, secretSealingKey, wrapKey } = require('@annals/platform/subject-keys')

/** Appends on their way at once: enough for the server's group commit, and the client's memory stays small. */
const inFlightMax = 256
/** Rows of one insert of subject keys. */
const keyRowsMax = 2_000

/**
 * Where a history is written to. `append` is called in log order; it may go on behind it, `flush` waits for all of it.
 *
 * @typedef {object} Sink
 * @property {(stream: string, revision: number, events: import('@annals/contracts').EncodedEvent[]) => Promise<void> | void}
 *   append `revision` of the first one
 * @property {() => Promise<void> | void} flush
 *
 * @typedef {object} Counts
 * @property {number} events
 * @property {number} published of them, events of streams that the relay copies
 * @property {number} payments of those, events of payment streams
 * @property {number} sealed events with a part that is sealed
 * @property {number} appends
 */

/**
 * Writes a history as the command service would have written it: every event passes `encodeEvent`, personal fields are
 * sealed under real keys. It can be written in parts, so that the same log is measured at several lengths.
 *
 * @param {object} options
 * @param {import('./history.mjs').Extent} options.extent of the whole history
 * @param {string} options.tenant
 * @param {{ id: string, key: Buffer }} options.master wraps the data keys
 * @param {{ id: string, key: Buffer }} options.secretMaster wraps the key of secrets
 * @param {(row: { id: string, wrappedKey: Buffer }) => Promise<void>} options.saveSecretKey called once, first
 * @param {(rows: { tenant: string, subject: string, wrappedKey: Buffer }[]) => Promise<void>} options.saveKeys
 * @param {AbortSignal} options.signal
 */
export function createSeeder({ extent, tenant, master, secretMaster, saveKeys, saveSecretKey, signal }) {
  const writes = history(extent)
  const random = createRandom(2)
  const keys = new Map()
  const unsaved = []
  /** @type {Counts} */
  const counts = { events: 0, published: 0, payments: 0, sealed: 0, appends: 0 }
  const keyOf = (subject) => {
    let key = keys.get(subject)
    if (!key) {
      key = randomBytes(32)
      keys.set(subject, key)
      unsaved.push({ tenant, subject, wrappedKey: wrapKey(key, master, `${tenant}|${subject}`) })
    }
    return key
  }
  const secretKey = { id: randomUUID(), key: randomBytes(32), saved: false }
  const sealSecret = (part, secrets) => {
    const key = secretSealingKey(secretKey.key, keyOf(part.subject))
    return { key: secretKey.id, sealed: sealText(JSON.stringify(secrets), key, part.context) }
  }
  const seal = (part, personal) => sealText(JSON.stringify(personal), keyOf(part.subject), part.context)
  const encode = ({ events: decided, actor, at }) => {
    const commandId = random.uuid()
    const envelope = {
      tenant,
      commandId,
      fingerprint: random.hex(8),
      correlationId: random.uuid(),
      causationId: commandId,
      traceparent: `00-${random.hex(4)}-${random.hex(2)}-01`,
      actor: { type: 'user', id: actor },
      occurredAt: at,
      source: 'command-service',
    }
    return decided.map((event) => encodeEvent(event, random.uuid(), envelope, seal, sealSecret))
  }

  return {
    /** Of all that was written so far. */
    counts,

    /**
     * Writes on until so many events are in the log, or a few more: an append is not cut, except by the history's own end.
     *
     * @param {Sink} sink @param {number} until @param {(written: number) => void} [onProgress]
     * @returns {Promise<Counts>} of all that was written so far
     */
    async fill(sink, until, onProgress) {
      if (!secretKey.saved) {
        const wrappedKey = wrapKey(secretKey.key, secretMaster, `secret|${tenant}|${secretKey.id}`)
        await saveSecretKey({ id: secretKey.id, wrappedKey })
        secretKey.saved = true
      }
      while (counts.events < until) {
        const { value: write, done } = writes.next()
        if (done) break
        const encoded = encode(write)
        count(counts, write.stream, encoded)
        // Only where there is something to wait for: a turn of the event loop for each append would cost as much as the append.
        const pending = sink.append(write.stream, write.revision, encoded)
        if (pending) await pending
        signal.throwIfAborted()
        if (unsaved.length >= keyRowsMax) await saveKeys(unsaved.splice(0))
        if (counts.appends % 1_000 === 0) onProgress?.(counts.events)
      }
      await sink.flush()
      if (unsaved.length > 0) await saveKeys(unsaved.splice(0))
      return { ...counts }
    },
  }
}

/**
 * Appends through the official client, at each stream's expected revision.
 *
 * @param {string} url of the event store
 * @returns {Sink & { close: () => Promise<void> }}
 */
export function clientSink(url) {
  const client = EventStoreDBClient.connectionString(url)
  const window = createWindow()
  return {
    append(stream, revision, events) {
      const options = { expectedRevision: revision === 0 ? NO_STREAM : BigInt(revision - 1) }
      window.add(client.appendToStream(stream, events.map(jsonEvent), options))
      return window.below(inFlightMax)
    },
    flush: () => window.below(1),
    close: () => client.dispose(),
  }
}

/** Work on its way, in whatever number; it is waited for by number, which costs the same however much there is. */
function createWindow() {
  const state = { size: 0, failure: undefined, wake: () => {} }
  const settled = (error) => {
    state.size -= 1
    state.failure ??= error
    state.wake()
  }
  return {
    add(work) {
      state.size += 1
      work.then(() => settled(), settled)
    },
    /** Resolves when fewer than `limit` are on their way; throws the first failure. */
    async below(limit) {
      while (state.size >= limit && !state.failure) {
        await new Promise((resolve) => {
          state.wake = resolve
        })
      }
      if (state.failure) throw state.failure
    },
  }
}

function count(counts, stream, encoded) {
  const topic = topicOfCategory(categoryOf(stream))
  counts.appends += 1
  counts.events += encoded.length
  if (topic) counts.published += encoded.length
  if (topic === 'annals.payments') counts.payments += encoded.length
  counts.sealed += encoded.filter(({ data }) => data.sealed !== undefined).length
}
