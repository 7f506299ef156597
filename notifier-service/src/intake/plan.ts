import type { AnnalsEvent, RecordedEvent } from '@annals/contracts'
import type { TopicPartition } from '@annals/platform/kafka'
import { isInGap, type Gap } from '../deliveries/gaps'
import type { IntentRecord, ParkedRecord } from '../deliveries/intents'
import type { UnreadEvent } from '../deliveries/unread'
import { recipientFactOf, type RecipientFact } from '../recipients/recipient'
import type { Rule } from '../rules/rule'
import { intentsOf } from '../rules/rules'
import { skipReasonOf, type AdmissionPolicy } from './admission'
import type { EventPlace, ReadRecord } from './read-record'

/** A record of a topic, or an event that was read from the log in front of one. */
export interface Arrived {
  /** Offset of the record; for an event from the log, that of the record before which it belongs. */
  offset: bigint
  read: ReadRecord
}

/** Why an event, and with it all that follows, has to wait. */
export type Stop =
  | { because: 'newer-version'; at: EventPlace; version: number }
  /** Events of its stream are missing. `after`: last revision that was read; -1: none. */
  | { because: 'hole'; at: EventPlace; after: number }
  /** Its content is in the log only. */
  | { because: 'reference'; at: EventPlace }

/** What arrived comes to, up to the first that has to wait. */
export interface Plan {
  recipients: RecipientFact[]
  intents: IntentRecord[]
  parked: ParkedRecord[]
  unread: UnreadEvent[]
  /** Last revision read of each stream that has moved. */
  revisions: Map<string, number>
  /** Events that were read before. */
  duplicates: number
  /** The event with the highest log position of those that were read; `undefined`: none was. */
  furthest: EventPlace | undefined
  /** How many of the arrived were handled: all, unless one stops. */
  handled: number
  stop: Stop | undefined
}

/** What the database tells about a partition before a batch is applied. */
export interface Standing {
  /** Last revision read of each stream; what is not here was never read. */
  revisions: ReadonlyMap<string, number>
  /** Up to this log position, everything was read by a release that kept no revisions. -1: nothing. */
  seenPosition: bigint
  /** The database's time, epoch ms, by which the age of facts is measured. */
  now: number
  gap: Gap | undefined
}

export interface PlanOptions {
  rules: readonly Rule[]
  admission: AdmissionPolicy
}

/**
 * Judges by stream revision, in order: what was read before is dropped, what comes too early stops, everything else is handled once.
 * @param place Kafka's names of where it arrived.
 */
export function planOf(
  place: TopicPartition & { topicId: string },
  arrived: readonly Arrived[],
  standing: Standing,
  { rules, admission }: PlanOptions,
): Plan {
  const { topic, partition, topicId } = place
  const { now, gap, seenPosition } = standing
  const plan: Plan = {
    recipients: [],
    intents: [],
    parked: [],
    unread: [],
    revisions: new Map(),
    duplicates: 0,
    furthest: undefined,
    handled: 0,
    stop: undefined,
  }

  function apply(event: AnnalsEvent, recorded: RecordedEvent, offset: bigint): void {
    const told = recipientFactOf(event, recorded)
    if (told) plan.recipients.push(told)
    const skip = skipReasonOf(admission, event.at, now)
    const inGap = gap && isInGap(gap, { topicId, offset, position: event.position, occurredAt: event.at })
    const sentBefore = inGap ? gap.mails : undefined
    for (const intent of intentsOf(rules, event)) plan.intents.push({ intent, event, skip, sentBefore })
  }

  /** @returns why it has to wait. */
  function handle({ offset, read }: Arrived): Stop | undefined {
    if (!read.at) {
      plan.parked.push({ topic, partition, offset, at: undefined, reason: read.reason })
      return undefined
    }
    const { at } = read
    const last = plan.revisions.get(at.stream) ?? standing.revisions.get(at.stream) ?? -1
    if (at.revision <= last) {
      plan.duplicates++
      return undefined
    }
    if (at.revision > last + 1) return { because: 'hole', at, after: last }
    if (at.position > seenPosition) {
      switch (read.kind) {
        case 'newer':
          return { because: 'newer-version', at, version: read.version }
        case 'reference':
          return { because: 'reference', at }
        case 'apply':
          apply(read.event, read.recorded, offset)
          break
        case 'unknown-type':
          plan.unread.push({ ...at, topic, partition, offset })
          break
        case 'park':
          plan.parked.push({ topic, partition, offset, at, reason: read.reason })
          break
        case 'pass':
          break
      }
    }
    plan.revisions.set(at.stream, at.revision)
    if (!plan.furthest || at.position > plan.furthest.position) plan.furthest = at
    return undefined
  }

  for (const one of arrived) {
    plan.stop = handle(one)
    if (plan.stop) break
    plan.handled++
  }
  return plan
}
