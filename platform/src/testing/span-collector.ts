import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Attribute {
  key: string
  value: { stringValue?: string; intValue?: number }
}

export interface CollectedSpan {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  kind: number
  attributes: Attribute[]
  links?: { traceId: string; spanId: string }[]
  status?: { code?: number }
}

interface Exported {
  resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: CollectedSpan[] }[] }[]
}

export interface SpanCollector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  endpoint: string
  /** What has been sent until now. */
  spans(): CollectedSpan[]
  resources(): { attributes: Attribute[] }[]
  close(): Promise<void>
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** What a collector listens with: OTLP over HTTP as JSON, on /v1/traces. */
export async function startSpanCollector(): Promise<SpanCollector> {
  const received: Exported['resourceSpans'] = []
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request)
    if (request.url === '/v1/traces') received.push(...(JSON.parse(body) as Exported).resourceSpans)
    response.setHeader('content-type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => received.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    resources: () => received.map(({ resource }) => resource),
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
