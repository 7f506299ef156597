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
import { recipientTypes } from '../recipients/recipient'
import type { Rule } from '../rules/rule'

/** Which event this is, and where it stands in the log. */
export type EventPlace = Pick<RecordedEvent, 'id' | 'type' | 'stream' | 'revision' | 'position'>

/** What is to be done with one record of a topic. */
export type ReadRecord =
  | { kind: 'apply'; at: EventPlace; event: AnnalsEvent; recorded: RecordedEvent }
  /** No rule asks for it. */
  | { kind: 'pass'; at: EventPlace }
  /** A type that this release does not know: set aside, for one that does. */
  | { kind: 'unknown-type'; at: EventPlace }
  /** Written by a newer release: its partition waits for that release here. */
  | { kind: 'newer'; at: EventPlace; version: number }
  /** Its content did not fit into a record and has to be read from the log. */
  | { kind: 'reference'; at: EventPlace }
  /** Can never be read; `at` undefined: nor does it say which event it is. */
  | { kind: 'park'; at: EventPlace; reason: string }
  | { kind: 'park'; at: undefined; reason: string }

/** What a release knows, and what it asks for. */
export interface EventTypes {
  /** Every event type that this release can read. */
  known: ReadonlySet<string>
  /** Those that matter to this service. */
  wanted: ReadonlySet<EventType>
}

/** Event types that this service reads; all others pass by unread. */
export const eventTypesOf = (rules: readonly Pick<Rule, 'on'>[]): ReadonlySet<EventType> =>
  new Set<EventType>([...recipientTypes, ...rules.map(({ on }) => on)])

export const knownTypes: ReadonlySet<string> = new Set(Object.keys(eventDefinitions))

const placeOf = ({ id, type, stream, revision, position }: EventPlace): EventPlace => ({
  id,
  type,
  stream,
  revision,
  position,
})

/** What is to be done with an event before its content is looked at; `undefined`: that has to decide. */
function byType(at: EventPlace, { known, wanted }: EventTypes): ReadRecord | undefined {
  if (!known.has(at.type)) return { kind: 'unknown-type', at }
  return wanted.has(at.type as EventType) ? undefined : { kind: 'pass', at }
}

/**
 * Reads an event without opening what is sealed in it: rules need no personal data, and an address that was never opened
 * here is one that need not be forgotten here.
 */
export function readEvent(recorded: RecordedEvent, eventTypes: EventTypes): ReadRecord {
  const at = placeOf(recorded)
  const decided = byType(at, eventTypes)
  if (decided) return decided
  const result = sealedPartOf(recorded) ? decodeEvent(recorded, null) : decodeEvent(recorded)
  switch (result.kind) {
    case 'event':
      return { kind: 'apply', at, event: result.event, recorded }
    case 'unknown-type':
      return { kind: 'unknown-type', at }
    case 'newer-version':
      return { kind: 'newer', at, version: result.version }
    case 'invalid':
      return { kind: 'park', at, reason: result.reason }
  }
}

/** Reads a record of a topic, as {@link readEvent} reads the event in it. */
export function readRecord({ value, headers }: IncomingRecord, eventTypes: EventTypes): ReadRecord {
  const parsed = fromCloudEvent({ value, headers })
  if (parsed.ok) return readEvent(parsed.event, eventTypes)
  if (!parsed.reference) return { kind: 'park', at: undefined, reason: parsed.reason }
  const at = placeOf(parsed.reference)
  return byType(at, eventTypes) ?? { kind: 'reference', at }
}
