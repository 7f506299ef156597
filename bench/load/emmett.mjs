/**
 * Emmett on PostgreSQL (`@event-driven-io/emmett-postgresql`): the same history in its own event store, and the read model
 * `payments` rebuilt from it in the way its documentation shows.
 */
import { randomUUID } from 'node:crypto'
import { getPostgreSQLEventStore, rebuildPostgreSQLProjections } from '@event-driven-io/emmett-postgresql'
import { history } from '../log/history.mjs'
import { paymentsOf } from '../rebuild/emmett-payments.mjs'
import { serve } from './serve.mjs'

/** Appends at once: no more connections are in its pool. */
const appendsInFlight = 10
/**
 * Its defaults (100 events, then a pause of 50 ms) would bound it to 2,000 events a second; larger batches than this
 * brought nothing more.
 */
const pulling = { batchSize: 1_000, pullingFrequencyInMs: 1 }

let connectionString
serve({
  async connect({ url }) {
    connectionString = url
  },

  /**
   * The first events of the same history, each append as the command service would have made it, personal fields in the clear.
   *
   * @returns {Promise<{ events: number, seconds: number }>}
   */
  async fill({ events: until, of, atOnce = appendsInFlight }) {
    const store = getPostgreSQLEventStore(connectionString)
    await store.schema.migrate()
    const writes = history({ events: of })
    const begunAt = performance.now()
    let events = 0
    /** Appends in hand, by stream: the next one of a stream waits for the one before, as a command would. @type {Map<string, Promise<unknown>>} */
    const inHand = new Map()
    const append = async ({ stream, revision, ...write }, before) => {
      await before
      await store.appendToStream(stream, messagesOf(write), {
        expectedStreamVersion: revision === 0 ? 'STREAM_DOES_NOT_EXIST' : BigInt(revision),
      })
    }
    const one = async () => {
      while (events < until) {
        const { value: write, done } = writes.next()
        if (done) return
        events += write.events.length
        const appended = append(write, inHand.get(write.stream))
        inHand.set(write.stream, appended)
        await appended
        if (inHand.get(write.stream) === appended) inHand.delete(write.stream)
      }
    }
    try {
      await Promise.all(Array.from({ length: atOnce }, one))
      return { events, seconds: (performance.now() - begunAt) / 1_000 }
    } finally {
      await store.close()
    }
  },

  /** Rebuilds the read model from nothing. @returns {Promise<{ seconds: number, ended: boolean }>} `ended`: by itself */
  async rebuild({ withinMs }) {
    const begunAt = performance.now()
    const consumer = rebuildPostgreSQLProjections({ connectionString, projections: [paymentsOf()], pulling })
    let ended = true
    const timer = setTimeout(() => {
      ended = false
      void consumer.stop()
    }, withinMs)
    try {
      await consumer.start()
      return { seconds: (performance.now() - begunAt) / 1_000, ended }
    } finally {
      clearTimeout(timer)
      await consumer.close()
    }
  },
})

const messagesOf = ({ events, actor, at }) => {
  const commandId = randomUUID()
  const metadata = {
    tenant: 'main',
    commandId,
    correlationId: randomUUID(),
    causationId: commandId,
    actor: { type: 'user', id: actor },
    occurredAt: at,
    source: 'command-service',
  }
  return events.map(({ type, data }) => ({ type, data, metadata }))
}
