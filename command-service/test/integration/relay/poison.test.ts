import { randomUUID } from 'node:crypto'
import { binaryEvent, EventStoreDBClient, jsonEvent, type EventData } from '@eventstore/db-client'
import { describe, expect, it, jest } from '@jest/globals'
import { fromCloudEvent } from '@annals/contracts'
import { createEventLog } from '@annals/platform/event-log'
import { createConsumer, type IncomingRecord } from '@annals/platform/kafka'
import { createMetrics, type Registry } from '@annals/platform/metrics'
import { eventually, testScope, uniqueName } from '@annals/platform/testing'
import { createRelayMetrics } from '../../../src/relay/relay-metrics'
import { ensureTopics, kafka, log, newCategory, removeTopicsOf, routeOver, startRelay, topicFor } from './relay-world'

jest.setTimeout(90_000)

const scope = testScope()

/** A log of the test's own, which takes larger events than Kafka does, and a client that writes what it likes. */
async function world() {
  const store = await scope.eventStore(['--max-append-size', String(8 * 1024 * 1024)])
  const eventLog = createEventLog(store.url, log)
  const client = EventStoreDBClient.connectionString(store.url)
  scope.onEnd(() => eventLog.close())
  scope.onEnd(() => client.dispose())
  const category = newCategory()
  const route = routeOver(`test.relay.${category}`, [topicFor(category)])
  removeTopicsOf(scope, route)
  await ensureTopics(route)
  const metrics = createMetrics('relay')
  const relay = (more = {}) => startRelay(route, scope, { eventLog, ...more })
  const newStream = () => `${category}-${randomUUID()}`
  return { client, route, relay, newStream, metrics }
}

async function recordsOf(topic: string) {
  const records: IncomingRecord[] = []
  const consumer = createConsumer({
    ...kafka,
    groupId: uniqueName('poison'),
    topics: [topic],
    onFatal: () => undefined,
  })
  scope.onEnd(() => consumer.stop())
  await consumer.run({
    positions: async (assigned) => assigned.map(() => undefined),
    handle: async (batch) => {
      records.push(...batch.records)
      return { kind: 'done' }
    },
  })
  return records
}

const fact = (n: number, metadata: unknown = { tenant: 'test', occurredAt: new Date().toISOString() }) =>
  jsonEvent({ id: randomUUID(), type: 'relay.tested', data: { n }, metadata: metadata as Record<string, unknown> })
const valueOf = async (metrics: Registry, name: string) =>
  (await metrics.getSingleMetric(name)!.get()).values.reduce((sum, { value }) => sum + value, 0)

describe('the relay publishes', () => {
  it('what nobody should have appended, in its place, and goes on', async () => {
    const { client, route, relay, newStream, metrics } = await world()
    const stream = newStream()
    const other = newStream()
    const poison: [string, EventData][] = [
      ['no metadata', jsonEvent({ type: 'relay.tested', data: { n: 1 } })],
      ['a time that is a number', fact(2, { occurredAt: 5 })],
      ['the year 0000', fact(3, { occurredAt: '0000-01-01T00:00:00.000Z' })],
      ['a time of another world', fact(4, { occurredAt: '+275760-09-13T00:00:00.000Z' })],
      ['metadata that are a list', fact(5, [1, 2])],
      ['bytes', binaryEvent({ type: 'relay.tested', data: Uint8Array.of(0, 255, 1) })],
      ['bytes for metadata', jsonEvent({ type: 'relay.tested', data: { n: 7 }, metadata: Uint8Array.of(0, 255) })],
      ['data of 3 MiB', jsonEvent({ type: 'relay.tested', data: { text: 'x'.repeat(3 * 1024 * 1024) } })],
      ['metadata of 3 MiB', fact(9, { text: 'x'.repeat(3 * 1024 * 1024) })],
      [
        'data of a megabyte, which is not too large',
        jsonEvent({ type: 'relay.tested', data: { text: 'x'.repeat(1_000_000) } }),
      ],
    ]
    await client.appendToStream(stream, [fact(0)])
    for (const [, event] of poison) {
      await client.appendToStream(stream, [event])
      await client.appendToStream(other, [fact(0)])
    }
    await client.appendToStream(stream, [fact(99)])

    const records = await recordsOf(route.topics[0]!.topic)
    const running = relay({ metrics: createRelayMetrics(metrics, 'test') })
    await eventually(() => expect(records).toHaveLength(poison.length * 2 + 2), { withinMs: 40_000 })
    await running.ready()
    const read = records.filter(({ key }) => key === stream).map((record) => fromCloudEvent(record))
    const places = read.map((result) => (result.ok ? result.event : result.reference))
    expect(places.map((place) => place?.revision)).toEqual(Array.from({ length: poison.length + 2 }, (_, i) => i))
    const byReference = poison.flatMap(([what], i) => (read[i + 1]!.ok ? [] : [what]))
    expect(byReference).toEqual(['bytes', 'bytes for metadata', 'data of 3 MiB', 'metadata of 3 MiB'])
    expect(await valueOf(metrics, 'annals_relay_events_by_reference_total')).toBe(4)
    // An age is told by the log's clock: the year 0000 is no lag of two thousand years.
    expect(await valueOf(metrics, 'annals_relay_lag_seconds')).toBe(0)
  })

  it('the facts of streams that were deleted, hard and softly, and those of all others', async () => {
    const { client, route, relay, newStream } = await world()
    const records = await recordsOf(route.topics[0]!.topic)
    const [hard, soft, deletedLater, other] = [newStream(), newStream(), newStream(), newStream()]
    for (const stream of [hard, soft, deletedLater, other]) await client.appendToStream(stream, [fact(0), fact(1)])
    await client.tombstoneStream(hard)
    await client.deleteStream(soft)
    const running = relay()
    await eventually(() => expect(records).toHaveLength(8), { withinMs: 40_000 })
    // While it leads, too: the tombstone is the newest event of all.
    await client.tombstoneStream(deletedLater)
    await client.appendToStream(other, [fact(2)])
    await eventually(() => expect(records).toHaveLength(9))
    for (const { headers } of records) expect(String(headers['ce_type'])).toBe('relay.tested')
    await running.stop()
    const again = relay()
    await client.appendToStream(other, [fact(3)])
    await eventually(() => expect(records).toHaveLength(10), { withinMs: 30_000 })
    await again.ready()
  })
})
