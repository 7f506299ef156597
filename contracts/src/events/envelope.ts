import { z } from 'zod'
import { writtenTime } from '../time'

/** Who caused an event: a user by id, or a part of the system by name. */
export const Actor = z.object({
  type: z.enum(['user', 'system', 'operator']),
  id: z.string().min(1).max(128),
})
export type Actor = z.infer<typeof Actor>

/** Metadata of every event, stored in the log beside its data and carried through Kafka unchanged. */
export const Envelope = z.object({
  schemaVersion: z.int().positive(),
  tenant: z.string().min(1).max(64),
  commandId: z.string().min(1).max(128),
  /** Keyed hash (HMAC-SHA-256, hex) of the request that caused the event: tells a repeat from another request under the same key. */
  fingerprint: z.string().max(64).optional(),
  correlationId: z.string().min(1).max(128),
  causationId: z.string().min(1).max(128),
  /** W3C Trace Context header of the request that caused the event. */
  traceparent: z.string().max(128).optional(),
  actor: Actor,
  /** ISO 8601, UTC: when the fact happened, by the clock of the process that recorded it. */
  occurredAt: z.iso.datetime(),
  /** Name of the service that recorded the event. */
  source: z.string().min(1).max(64),
  /** The person under whose data key the sealed part of the data is encrypted; absent when nothing is sealed. */
  subject: z.string().max(64).optional(),
})
export type Envelope = z.infer<typeof Envelope>

/** The envelope as it is written today. */
export const WrittenEnvelope = Envelope.extend({ occurredAt: writtenTime })

/** The metadata without what the codec itself adds. */
export type EnvelopeInput = Omit<Envelope, 'schemaVersion' | 'subject'>
