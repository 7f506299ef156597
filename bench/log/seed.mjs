import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { createRandom } from './random.mjs'
import { history } from './history.mjs'

const require = createRequire(import.meta.url)
const { EventStoreDBClient, jsonEvent, NO_STREAM } = require('@eventstore/db-client')
const { encodeEvent, topicOfCategory, categoryOf } = require('@annals/contracts')
const { sealText, wrapKey } = require('@annals/platform/subject-keys')

/** Appends on their way at once: enough for the server's group commit, and the client's memory stays small. */
const inFlightMax = 256
/** Rows of one insert of subject keys. */
const keyRowsMax = 2_000

/**
 * Fills a log with history through the official client, as the command service would have written it: every event passes
 * `encodeEvent`, personal fields are sealed under real keys.
 *
 * @param {object} options
 * @param {string} options.url of the event store
 * @param {import('./history.mjs').Extent} options.extent
 * @param {string} options.tenant
 * @param {{ id: string, key: Buffer }} options.master wraps the data keys
 * @param {(rows: { tenant: string, subject: string, wrappedKey: Buffer }[]) => Promise<void>} options.saveKeys
 * @param {AbortSignal} options.signal
 * @param {(written: number) => void} [options.onProgress]
 * @returns {Promise<{ events: number, published: number, payments: number, sealed: number, appends: number }>} counts;
 *   `published`: events of streams that the relay copies, `payments`: of those, events of payment streams
 */
export async function seed({ url, extent, tenant, master, saveKeys, signal, onProgress }) {
  const client = EventStoreDBClient.connectionString(url)
  const random = createRandom(2)
  const keys = new Map()
  const unsaved = []
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
    return decided.map((event) => encodeEvent(event, random.uuid(), envelope, seal))
  }

  const window = createWindow()
  try {
    for (const write of history(extent)) {
      const encoded = encode(write)
      const options = { expectedRevision: write.revision === 0 ? NO_STREAM : BigInt(write.revision - 1) }
      window.add(client.appendToStream(write.stream, encoded.map(jsonEvent), options))
      count(counts, write.stream, encoded)
      await window.below(inFlightMax)
      signal.throwIfAborted()
      if (unsaved.length >= keyRowsMax) await saveKeys(unsaved.splice(0))
      if (counts.appends % 1_000 === 0) onProgress?.(counts.events)
    }
    await window.below(1)
    if (unsaved.length > 0) await saveKeys(unsaved.splice(0))
    return counts
  } finally {
    await client.dispose()
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
