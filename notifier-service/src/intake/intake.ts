import type { AnnalsEvent, EventType, RecordedEvent } from '@annals/contracts'
import { advanceCheckpoint, loadCheckpoints, lockCheckpoint } from '@annals/platform/checkpoint'
import type { BatchOutcome, IncomingBatch, TopicPartition } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { inTransaction, type Pool } from '@annals/platform/postgres'
import { park, recordIntents, recordRecipients, type IntentRecord, type ParkedRecord } from '../ledger/intents'
import type { NotifierMetrics } from '../metrics'
import { eventTypesOf, intentsOf } from '../rules/rules'
import type { Rule } from '../rules/rule'
import { skipReasonOf, type AdmissionPolicy } from './admission'
import { readRecord } from './read-record'

export interface IntakeDeps {
  pool: Pool
  rules: readonly Rule[]
  admission: AdmissionPolicy
  /** Right-hand side of Message-IDs. */
  mailDomain: string
  metrics: NotifierMetrics
  log: Logger
  /** Called after intents were committed that can be sent now. */
  onDue: () => void
}

const checkpointTable = 'checkpoint'

/** A newer release has to be rolled out here: looked at again in half a minute, which costs one read of the partition. */
const newerVersionWaitMs = 30_000

/** What a batch comes to, up to the first record that has to wait. */
interface Plan {
  registrations: { recorded: RecordedEvent; userId: string; tenant: string }[]
  intents: IntentRecord[]
  parked: ParkedRecord[]
  /** Offset at which reading goes on, and the log position reached; `undefined`: no record told one. */
  nextOffset: bigint
  position: bigint | undefined
  /** Type and version that this release can not read, when the batch ends early because of it. */
  newer: string | undefined
}

/** Events in, intents out: recipients, intents, parked records and the partition's checkpoint move in one transaction. */
export function createIntake({ pool, rules, admission, mailDomain, metrics, log, onDue }: IntakeDeps) {
  const wanted: ReadonlySet<EventType> = eventTypesOf(rules)

  function apply(plan: Plan, event: AnnalsEvent, recorded: RecordedEvent, now: number): void {
    if (event.type === 'user.registered')
      plan.registrations.push({ recorded, userId: event.data.userId, tenant: event.envelope.tenant })
    const skip = skipReasonOf(admission, event.at, now)
    for (const intent of intentsOf(rules, event)) plan.intents.push({ intent, event, skip })
  }

  function planOf({ topic, partition, records, nextOffset }: IncomingBatch): Plan {
    const plan: Plan = { registrations: [], intents: [], parked: [], nextOffset, position: undefined, newer: undefined }
    const now = Date.now()
    for (const record of records) {
      const read = readRecord(record, wanted)
      switch (read.kind) {
        case 'apply':
          apply(plan, read.event, read.recorded, now)
          plan.position = read.recorded.position
          break
        case 'skip':
          if (read.why === 'unknown-type') metrics.unknownTypes.inc({ topic })
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

  /** @returns what was recorded, or `undefined` when another instance has moved the checkpoint. */
  const commit = (batch: IncomingBatch, plan: Plan) =>
    inTransaction(pool, async (client) => {
      const from = await lockCheckpoint(client, checkpointTable, batch)
      if (from && from.nextOffset > batch.records[0]!.offset) return undefined
      // Registrations first: a welcome needs no second look for whom it is.
      await recordRecipients(client, plan.registrations)
      const recorded = await recordIntents(client, plan.intents, mailDomain)
      await park(client, plan.parked)
      const to = { nextOffset: plan.nextOffset, position: plan.position ?? from?.position ?? -1n }
      if (await advanceCheckpoint(client, checkpointTable, batch, from, to)) return recorded
      throw new CheckpointMoved()
    }).catch((error: unknown) => {
      if (error instanceof CheckpointMoved) return undefined
      throw error
    })

  return {
    async positions(assigned: readonly TopicPartition[]): Promise<(bigint | undefined)[]> {
      const checkpoints = await loadCheckpoints(pool, checkpointTable, assigned)
      return checkpoints.map((checkpoint) => checkpoint?.nextOffset)
    },

    async handle(batch: IncomingBatch): Promise<BatchOutcome> {
      if (batch.records.length === 0) return { kind: 'done' }
      const { topic, partition } = batch
      const plan = planOf(batch)
      const place = { topic, partition: String(partition) }
      metrics.newerVersion.set(place, plan.newer ? 1 : 0)
      if (plan.nextOffset > batch.records[0]!.offset) {
        const recorded = await commit(batch, plan)
        if (!recorded) return { kind: 'reposition' }
        for (const { rule, channel, state } of recorded) metrics.intents.inc({ rule, channel, state })
        for (const { reason, offset, recorded: event } of plan.parked) {
          metrics.parked.inc({ topic })
          log.error(
            { ...place, offset: String(offset), eventId: event?.id, eventType: event?.type, reason },
            'record parked',
          )
        }
        if (recorded.length > 0 || plan.registrations.length > 0) onDue()
      }
      if (!plan.newer) return { kind: 'done' }
      const reason = `${plan.newer} was written by a newer release`
      log.error({ ...place, offset: String(plan.nextOffset) }, `partition waits: ${reason}; roll that release out here`)
      return { kind: 'wait', waitMs: newerVersionWaitMs, reason, resumeAt: plan.nextOffset }
    },
  }
}

class CheckpointMoved extends Error {
  override readonly name = 'CheckpointMoved'
}
