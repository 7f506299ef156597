import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from '@jest/globals'
import { context, propagation, trace } from '@opentelemetry/api'
import { startSpanCollector, typescriptProcess } from '@annals/platform/testing'
import { currentTraceparent, startSpan, startTracing, withContext } from '@annals/platform/tracing'

const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
  // The API keeps its globals for the life of a process; each test is one.
  for (const api of [trace, context, propagation]) api.disable()
})

async function collector() {
  const started = await startSpanCollector()
  opened.push(started.close)
  return started
}

/** The exporter loads Node's `http` as a module, which Jest's sandbox has no way to do: it runs in a process. */
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, typescriptProcess(join(__dirname, 'traced-process.ts'), ...args))

const traceId = '0af7651916cd43dd8448eb211c80319c'
const remote = `00-${traceId}-b7ad6b7169203331-01`

describe('tracing', () => {
  it('sends spans of one trace to the collector: the request, what it does, and what continues it elsewhere', async () => {
    const { endpoint, resources, spans } = await collector()
    await run(endpoint, remote)

    const byName = new Map(spans().map((span) => [span.name, span]))
    expect([...byName.keys()].sort()).toEqual(['append', 'batch', 'fails', 'mail', 'request'])
    for (const name of ['request', 'append', 'mail']) expect(byName.get(name)!.traceId).toBe(traceId)
    expect(byName.get('request')!.parentSpanId).toBe('b7ad6b7169203331')
    expect(byName.get('append')!.parentSpanId).toBe(byName.get('request')!.spanId)
    expect(byName.get('mail')!.parentSpanId).toBe(byName.get('append')!.spanId)
    expect(byName.get('fails')!.traceId).not.toBe(traceId)
    expect(byName.get('fails')!.status).toMatchObject({ code: 2 })
    expect(resources()[0]!.attributes).toContainEqual({ key: 'service.name', value: { stringValue: 'test-service' } })
  })

  it('links work on many requests to their traces: each once, no nonsense, 100 at most', async () => {
    const { endpoint, spans } = await collector()
    await run(endpoint, remote)
    const batch = spans().find(({ name }) => name === 'batch')!
    expect(batch.traceId).not.toBe(traceId)
    expect(batch.parentSpanId ?? '').toBe('')
    expect(batch.links!.filter((link) => link.traceId === traceId)).toHaveLength(1)
    expect(batch.links).toHaveLength(100)
  })

  it('does not hold up the end of a process for a collector that is gone', async () => {
    const started = Date.now()
    await run('http://127.0.0.1:9', remote)
    expect(Date.now() - started).toBeLessThan(15_000)
  })

  it('carries a trace without a collector, and sends nothing', async () => {
    const stop = await startTracing('test-service', undefined)
    opened.push(stop)
    const { span, context } = startSpan({ name: 'request', traceparent: remote })
    const carried = withContext(context, () => currentTraceparent())
    span.end()
    expect(carried).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    expect(carried).not.toBe(remote)
    expect(currentTraceparent()).toBeUndefined()
  })

  it('begins a trace of its own when nothing is carried, or nonsense', async () => {
    const stop = await startTracing('test-service', undefined)
    opened.push(stop)
    for (const traceparent of [undefined, 'nonsense', '00-00000000000000000000000000000000-b7ad6b7169203331-01']) {
      const { span, context } = startSpan({ name: 'request', traceparent })
      expect(withContext(context, () => currentTraceparent())).toMatch(/^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-00$/)
      span.end()
    }
  })
})
