import { z } from 'zod'
import type { RecordedEvent } from './codec'

/**
 * CloudEvents 1.0, Kafka protocol binding, binary content mode: attributes are headers named `ce_…`, the value is the
 * event's data as JSON. `ce_stream`, `ce_revision`, `ce_position` and `ce_metadata` are extension attributes; the last
 * is the log's metadata to the letter, so that a topic holds all that the log holds. What does not fit into a record (it is no
 * JSON, or too large) stays in the log: the record has neither value nor `ce_metadata`, and `ce_dataref` says where they are.
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/dataref.md
 */
export interface CloudEventRecord {
  /** The stream's name: events of one stream share a partition. */
  key: string
  /** `null`: the content is in the log only. */
  value: string | null
  headers: Record<string, string>
  /** Epoch ms of the fact, as Kafka's record timestamp; 0 where the metadata tell none that Kafka takes. */
  timestamp: string
}

/** An event whose content is read from the log. */
export interface EventReference {
  kind: 'reference'
  id: string
  type: string
  stream: string
  revision: number
  position: bigint
}

const source = '/annals/log'
/** As RFC 3339 writes it, and CloudEvents wants it. */
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/
/** Of the envelope's field; W3C Trace Context writes 55. */
const traceparentMax = 128

/** A JSON text of what the log holds; `undefined` for bytes, which are none. */
function jsonOf(value: unknown): string | undefined {
  if (value instanceof Uint8Array) return undefined
  try {
    return JSON.stringify(value ?? null)
  } catch {
    return undefined
  }
}

/** What is taken from metadata that nobody has checked. */
function hintsOf(metadata: unknown): { time?: string; timestamp: string; traceparent?: string } {
  const { occurredAt, traceparent } = (metadata ?? {}) as { occurredAt?: unknown; traceparent?: unknown }
  const at = typeof occurredAt === 'string' && rfc3339.test(occurredAt) ? Date.parse(occurredAt) : Number.NaN
  return {
    ...(Number.isNaN(at) ? {} : { time: occurredAt as string }),
    // Kafka's times begin in 1970.
    timestamp: at > 0 ? String(at) : '0',
    ...(typeof traceparent === 'string' && traceparent !== '' && traceparent.length <= traceparentMax
      ? { traceparent }
      : {}),
  }
}

const encoder = new TextEncoder()

/** Whether key, value and headers have more bytes in UTF-8. Small records, nearly all, are told by their characters. */
function isLarger({ key, value, headers }: CloudEventRecord, bytesMax: number): boolean {
  const texts = [key, value ?? '', ...Object.entries(headers).flat()]
  const characters = texts.reduce((sum, text) => sum + text.length, 0)
  if (3 * characters <= bytesMax) return false
  return texts.reduce((sum, text) => sum + encoder.encode(text).length, 0) > bytesMax
}

/** The record of an event whose content stays in the log: in its place, so that the order is kept. */
function toReference(event: RecordedEvent, attributes: Record<string, string>, timestamp: string): CloudEventRecord {
  const headers = { ...attributes, ce_dataref: `log:${event.stream}@${event.revision}` }
  return { key: event.stream, value: null, timestamp, headers }
}

/**
 * The record of an event, whatever it holds: nothing in data or metadata makes it throw.
 * @param bytesMax of key, value and headers; what is larger becomes a reference.
 */
export function toCloudEvent(event: RecordedEvent, bytesMax = Number.POSITIVE_INFINITY): CloudEventRecord {
  const { time, timestamp, traceparent } = hintsOf(event.metadata)
  const attributes = {
    'content-type': 'application/json',
    ce_specversion: '1.0',
    ce_id: event.id,
    ce_source: source,
    ce_type: event.type,
    ...(time ? { ce_time: time } : {}),
    ce_stream: event.stream,
    ce_revision: String(event.revision),
    ce_position: String(event.position),
    ...(traceparent ? { ce_traceparent: traceparent } : {}),
  }
  const value = jsonOf(event.data)
  const metadata = jsonOf(event.metadata)
  if (value === undefined || metadata === undefined) return toReference(event, attributes, timestamp)
  const record = { key: event.stream, value, timestamp, headers: { ...attributes, ce_metadata: metadata } }
  return isLarger(record, bytesMax) ? toReference(event, attributes, timestamp) : record
}

const Headers = z.object({
  ce_id: z.string().min(1),
  ce_type: z.string().min(1),
  ce_stream: z.string().min(1),
  ce_revision: z.string().regex(/^\d{1,15}$/),
  ce_position: z.string().regex(/^\d{1,19}$/),
  ce_metadata: z.string().optional(),
  ce_dataref: z.string().optional(),
})

const headerNames = Object.keys(Headers.shape)
const decoder = new TextDecoder()
const textOf = (value: Uint8Array | string | undefined) => (value instanceof Uint8Array ? decoder.decode(value) : value)

/** `reference`: an event of ours whose content has to be read from the log. */
export type FromCloudEvent =
  { ok: true; event: RecordedEvent } | { ok: false; reason: string; reference?: EventReference }

/** Reads a Kafka record back into what the log held. Never throws: a foreign record is a result of its own. */
export function fromCloudEvent(record: {
  value: Uint8Array | string | null
  headers: Record<string, Uint8Array | string | undefined>
}): FromCloudEvent {
  const raw = Object.fromEntries(headerNames.map((name) => [name, textOf(record.headers[name])]))
  const headers = Headers.safeParse(raw)
  if (!headers.success) return { ok: false, reason: `no CloudEvent of ours: ${z.prettifyError(headers.error)}` }
  const h = headers.data
  const place = {
    id: h.ce_id,
    type: h.ce_type,
    stream: h.ce_stream,
    revision: Number(h.ce_revision),
    position: BigInt(h.ce_position),
  }
  if (h.ce_dataref !== undefined)
    return { ok: false, reason: 'its content is in the log only', reference: { kind: 'reference', ...place } }
  if (record.value === null) return { ok: false, reason: 'record without a value' }
  if (h.ce_metadata === undefined) return { ok: false, reason: 'no CloudEvent of ours: no ce_metadata' }
  try {
    const data: unknown = JSON.parse(textOf(record.value)!)
    return { ok: true, event: { ...place, data, metadata: JSON.parse(h.ce_metadata) as unknown } }
  } catch (error) {
    return { ok: false, reason: `not JSON: ${String(error)}` }
  }
}
