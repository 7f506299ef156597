import type { AnnalsEvent, EventType, RecordedEvent } from '@annals/contracts'
import type { IncomingBatch } from '@annals/platform/kafka'
import type { IntentRecord, ParkedRecord } from '../ledger/intents'
import type { Rule } from '../rules/rule'
import { intentsOf } from '../rules/rules'
import { skipReasonOf, type AdmissionPolicy } from './admission'
import { readRecord } from './read-record'

/** What a batch comes to, up to the first record that has to wait. */
export interface Plan {
  registrations: { recorded: RecordedEvent; userId: string; tenant: string }[]
  intents: IntentRecord[]
  parked: ParkedRecord[]
  /** Events of a type that this release does not know. */
  unknownTypes: number
  /** Offset at which reading goes on. */
  nextOffset: bigint
  /** Log position reached; `undefined`: no record told one. */
  position: bigint | undefined
  /** Type and version that this release can not read, when the plan ends early because of it. */
  newer: string | undefined
}

export interface PlanOptions {
  rules: readonly Rule[]
  wanted: ReadonlySet<EventType>
  admission: AdmissionPolicy
}

/** @param now the ledger's time, epoch ms, which the age of events is measured by. */
export function planOf(batch: IncomingBatch, { rules, wanted, admission }: PlanOptions, now: number): Plan {
  const { topic, partition } = batch
  const plan: Plan = {
    registrations: [],
    intents: [],
    parked: [],
    unknownTypes: 0,
    nextOffset: batch.nextOffset,
    position: undefined,
    newer: undefined,
  }

  function apply(event: AnnalsEvent, recorded: RecordedEvent): void {
    if (event.type === 'user.registered')
      plan.registrations.push({ recorded, userId: event.data.userId, tenant: event.envelope.tenant })
    const skip = skipReasonOf(admission, event.at, now)
    for (const intent of intentsOf(rules, event)) plan.intents.push({ intent, event, skip })
  }

  for (const record of batch.records) {
    const read = readRecord(record, wanted)
    switch (read.kind) {
      case 'apply':
        apply(read.event, read.recorded)
        plan.position = read.recorded.position
        break
      case 'skip':
        if (read.why === 'unknown-type') plan.unknownTypes++
        plan.position = read.position
        break
      case 'park':
        plan.parked.push({ topic, partition, offset: record.offset, recorded: read.recorded, reason: read.reason })
        plan.position = read.recorded?.position ?? plan.position
        break
      case 'newer':
        return { ...plan, nextOffset: record.offset, newer: `${read.type} version ${read.version}` }
    }
  }
  return plan
}
