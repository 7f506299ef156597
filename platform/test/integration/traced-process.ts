import { currentTraceparent, inSpan, SpanKind, startTracing } from '@annals/platform/tracing'

/** What two processes do with one request: `traced-process <endpoint> <traceparent of the caller>`. */
async function main([endpoint, remote]: readonly string[]) {
  const stop = await startTracing('test-service', endpoint)
  let carried: string | undefined
  await inSpan({ name: 'request', kind: SpanKind.SERVER, traceparent: remote }, async () => {
    await inSpan({ name: 'append' }, async () => (carried = currentTraceparent()))
  })
  // Elsewhere, later: all that is left is the text that was carried.
  await inSpan({ name: 'mail', kind: SpanKind.CONSUMER, traceparent: carried }, async () => undefined)
  // Many at once; more than are kept.
  const others = Array.from({ length: 150 }, (_, i) => `00-${String(i + 1).padStart(32, 'a')}-b7ad6b7169203331-01`)
  await inSpan({ name: 'batch', handles: [remote, remote, undefined, 'nonsense', ...others] }, async () => undefined)
  await inSpan({ name: 'fails' }, async () => Promise.reject(new Error('no'))).catch(() => undefined)
  // A collector that is gone makes it fail, in time; a process logs that and ends.
  await stop().catch(() => undefined)
}

void main(process.argv.slice(2))
