import {
  context,
  propagation,
  ROOT_CONTEXT,
  trace,
  SpanKind,
  SpanStatusCode,
  type Context,
  type Link,
  type Span,
  type SpanOptions,
} from '@opentelemetry/api'

export { SpanKind } from '@opentelemetry/api'

/** Takes spans and forgets them: the SDK makes trace ids only when somebody takes the spans. */
const forgetful = {
  onStart: () => undefined,
  onEnd: () => undefined,
  forceFlush: async () => undefined,
  shutdown: async () => undefined,
}

/**
 * Starts OpenTelemetry, exporting by OTLP over HTTP. Without an endpoint trace ids are made and travel from request to mail
 * and into log lines, nothing is recorded and nothing is sent; such traces say that they are not sampled.
 * @returns stops it, with what is buffered sent.
 */
export async function startTracing(service: string, endpoint: string | undefined): Promise<() => Promise<void>> {
  const { NodeSDK, tracing, resources, core } = await import('@opentelemetry/sdk-node')
  const { AsyncLocalStorageContextManager } = await import('@opentelemetry/context-async-hooks')
  let sending
  if (endpoint) {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
    const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` })
    sending = new tracing.BatchSpanProcessor(exporter, { maxQueueSize: 4_096, exportTimeoutMillis: 5_000 })
  }
  const root = sending ? new tracing.AlwaysOnSampler() : new tracing.AlwaysOffSampler()
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ 'service.name': service, 'service.namespace': 'annals' }),
    contextManager: new AsyncLocalStorageContextManager(),
    textMapPropagator: new core.W3CTraceContextPropagator(),
    sampler: new tracing.ParentBasedSampler({ root }),
    spanProcessors: [sending ?? forgetful],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
  })
  sdk.start()
  return () => sdk.shutdown()
}

const tracer = () => trace.getTracer('annals')

/** The W3C `traceparent` of the active span, or `undefined` outside of any. */
export function currentTraceparent(): string | undefined {
  const carrier: Record<string, string> = {}
  propagation.inject(context.active(), carrier)
  return carrier['traceparent']
}

const parentFrom = (traceparent: string | undefined): Context =>
  traceparent ? propagation.extract(context.active(), { traceparent }) : context.active()

export interface SpanInput {
  name: string
  kind?: SpanKind
  /** Of the request or event that this work continues. */
  traceparent?: string | undefined
  /** Of the requests or events that this work handles together, as links. Repeats and nonsense are left out, 100 are kept. */
  handles?: Iterable<string | undefined>
  attributes?: Record<string, string | number | boolean>
}

/** OpenTelemetry's SDK drops what goes beyond 128. */
const linksMax = 100

function linksTo(traceparents: Iterable<string | undefined>): Link[] {
  const links = new Map<string, Link>()
  for (const traceparent of traceparents) {
    if (links.size === linksMax) break
    if (traceparent === undefined || links.has(traceparent)) continue
    const linked = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, { traceparent }))
    if (linked) links.set(traceparent, { context: linked })
  }
  return [...links.values()]
}

const optionsOf = ({ kind, handles, attributes }: SpanInput): SpanOptions => ({
  kind: kind ?? SpanKind.INTERNAL,
  ...(handles ? { links: linksTo(handles) } : {}),
  ...(attributes ? { attributes } : {}),
})

/** Runs `work` inside a span; an error is recorded on it and thrown on. */
export async function inSpan<T>(input: SpanInput, work: (span: Span) => Promise<T>): Promise<T> {
  return tracer().startActiveSpan(input.name, optionsOf(input), parentFrom(input.traceparent), async (span) => {
    try {
      return await work(span)
    } catch (error) {
      span.recordException(error as Error)
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}

/** Starts a span that the caller ends; for work whose end is a callback, such as an HTTP exchange. */
export function startSpan(input: SpanInput): { span: Span; context: Context } {
  const parent = parentFrom(input.traceparent)
  const span = tracer().startSpan(input.name, optionsOf(input), parent)
  return { span, context: trace.setSpan(parent, span) }
}

/** Runs `work` with a span's context active. */
export const withContext = <T>(active: Context, work: () => T): T => context.with(active, work)
