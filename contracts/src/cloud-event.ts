import { z } from 'zod'
import type { RecordedEvent } from './codec'

/**
 * CloudEvents 1.0, Kafka protocol binding, binary content mode: attributes are headers named `ce_…`, the value is the
 * event's data as JSON. `ce_stream`, `ce_revision`, `ce_position` and `ce_metadata` are extension attributes; the last
 * is the log's metadata to the letter, so that a topic holds all that the log holds.
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
 */
export interface CloudEventRecord {
  /** The stream's name: events of one stream share a partition. */
  key: string
  value: string
  headers: Record<string, string>
  /** Epoch ms of the fact, as Kafka's record timestamp. */
  timestamp: string
}

const source = '/annals/log'

export function toCloudEvent(event: RecordedEvent): CloudEventRecord {
  const metadata = event.metadata as { occurredAt?: string; traceparent?: string } | null
  const time = metadata?.occurredAt
  const at = time ? Date.parse(time) : Number.NaN
  return {
    key: event.stream,
    value: JSON.stringify(event.data),
    timestamp: Number.isNaN(at) ? '0' : String(at),
    headers: {
      'content-type': 'application/json',
      ce_specversion: '1.0',
      ce_id: event.id,
      ce_source: source,
      ce_type: event.type,
      ...(time ? { ce_time: time } : {}),
      ce_stream: event.stream,
      ce_revision: String(event.revision),
      ce_position: String(event.position),
      ...(metadata?.traceparent ? { ce_traceparent: metadata.traceparent } : {}),
      ce_metadata: JSON.stringify(event.metadata),
    },
  }
}

const Headers = z.object({
  ce_id: z.string().min(1),
  ce_type: z.string().min(1),
  ce_stream: z.string().min(1),
  ce_revision: z.string().regex(/^\d{1,15}$/),
  ce_position: z.string().regex(/^\d{1,19}$/),
  ce_metadata: z.string(),
})

const headerNames = Object.keys(Headers.shape)
const decoder = new TextDecoder()
const textOf = (value: Uint8Array | string | undefined) => (value instanceof Uint8Array ? decoder.decode(value) : value)

export type FromCloudEvent = { ok: true; event: RecordedEvent } | { ok: false; reason: string }

/** Reads a Kafka record back into what the log held. Never throws: a foreign record is a result of its own. */
export function fromCloudEvent(record: {
  value: Uint8Array | string | null
  headers: Record<string, Uint8Array | string | undefined>
}): FromCloudEvent {
  const raw = Object.fromEntries(headerNames.map((name) => [name, textOf(record.headers[name])]))
  const headers = Headers.safeParse(raw)
  if (!headers.success) return { ok: false, reason: `no CloudEvent of ours: ${z.prettifyError(headers.error)}` }
  if (record.value === null) return { ok: false, reason: 'record without a value' }
  const h = headers.data
  try {
    return {
      ok: true,
      event: {
        id: h.ce_id,
        type: h.ce_type,
        stream: h.ce_stream,
        revision: Number(h.ce_revision),
        position: BigInt(h.ce_position),
        data: JSON.parse(textOf(record.value)!),
        metadata: JSON.parse(h.ce_metadata),
      },
    }
  } catch (error) {
    return { ok: false, reason: `not JSON: ${String(error)}` }
  }
}
