import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { createConsumer } from '@annals/platform/kafka'
import { eventually, startSpanCollector, testScope, typescriptProcess, uniqueName } from '@annals/platform/testing'
import { kafka, openRoute } from './relay-world'

const scope = testScope()

/** Values of the header `ce_traceparent` by stream, as a consumer sees them. */
async function readTraceparents(topic: string): Promise<Map<string, string | undefined>> {
  const seen = new Map<string, string | undefined>()
  const consumer = createConsumer({
    ...kafka,
    groupId: uniqueName('relay-test'),
    topics: [topic],
    onFatal: () => undefined,
  })
  await consumer.run({
    positions: async (assigned) => assigned.map(() => undefined),
    handle: async ({ records }) => {
      for (const { key, headers } of records) seen.set(key!, headers['ce_traceparent']?.toString())
      return { kind: 'done' }
    },
  })
  scope.onEnd(() => consumer.stop())
  return seen
}

it('each batch has a span that links to the traces of its events, and records keep those of their commands', async () => {
  const { category, route, eventLog } = await openRoute(scope)
  const { endpoint, spans, close } = await startSpanCollector()
  scope.onEnd(close)

  const commands = new Map<string, string>()
  for (let i = 0; i < 3; i++) {
    const stream = `${category}-${randomUUID()}`
    const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`
    const metadata = { schemaVersion: 1, tenant: 'test', occurredAt: new Date().toISOString(), traceparent }
    await eventLog.append(stream, [{ id: randomUUID(), type: 'relay.tested', data: {}, metadata }], -1)
    commands.set(stream, traceparent)
  }

  const seen = await readTraceparents(route.topics[0]!.topic)
  const relay = scope.process(typescriptProcess(join(__dirname, 'relay-process.ts'), category), {
    env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
  })
  await eventually(() => expect(seen).toEqual(commands), { withinMs: 30_000 })
  await relay.end('SIGTERM')

  const batches = spans().filter(({ name }) => name === 'publish batch')
  expect(batches.length).toBeGreaterThan(0)
  const linked = batches.flatMap(({ links }) =>
    (links ?? []).map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`),
  )
  expect(linked.toSorted()).toEqual([...commands.values()].toSorted())
  for (const { traceId, attributes } of batches) {
    // No batch is part of a command's trace: it belongs to several.
    expect([...commands.values()].join()).not.toContain(traceId)
    expect(attributes.map(({ key }) => key)).toEqual(
      expect.arrayContaining(['messaging.system', 'messaging.batch.message_count', 'annals.log.position']),
    )
  }
}, 60_000)
