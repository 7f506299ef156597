import {
  decodeEvent,
  eventDefinitions,
  fromCloudEvent,
  sealedPartOf,
  type AnnalsEvent,
  type EventType,
  type RecordedEvent,
} from '@annals/contracts'
import type { IncomingRecord } from '@annals/platform/kafka'

/** What is to be done with one record of a topic. */
export type ReadRecord =
  | { kind: 'apply'; event: AnnalsEvent; recorded: RecordedEvent }
  /** No rule asks for it, or nobody here knows it. */
  | { kind: 'skip'; why: 'not-asked-for' | 'unknown-type'; position: bigint }
  /** Written by a newer release: its partition waits for that release here. */
  | { kind: 'newer'; type: string; version: number }
  /** Can never be read. */
  | { kind: 'park'; reason: string; recorded: RecordedEvent | undefined }

/**
 * Reads a record without opening what is sealed in it: rules need no personal data, and an address that was never opened
 * here is one that need not be forgotten here.
 * @param wanted event types that matter to this service.
 */
export function readRecord({ value, headers }: IncomingRecord, wanted: ReadonlySet<EventType>): ReadRecord {
  const parsed = fromCloudEvent({ value, headers })
  if (!parsed.ok) return { kind: 'park', reason: parsed.reason, recorded: undefined }
  const recorded = parsed.event
  if (!isWanted(recorded.type, wanted)) {
    const known = Object.hasOwn(eventDefinitions, recorded.type)
    return { kind: 'skip', why: known ? 'not-asked-for' : 'unknown-type', position: recorded.position }
  }
  const result = sealedPartOf(recorded) ? decodeEvent(recorded, null) : decodeEvent(recorded)
  switch (result.kind) {
    case 'event':
      return { kind: 'apply', event: result.event, recorded }
    case 'unknown-type':
      return { kind: 'skip', why: 'unknown-type', position: recorded.position }
    case 'newer-version':
      return { kind: 'newer', type: result.type, version: result.version }
    case 'invalid':
      return { kind: 'park', reason: result.reason, recorded }
  }
}

const isWanted = (type: string, wanted: ReadonlySet<EventType>): boolean => wanted.has(type as EventType)
