import {
  advanceCheckpoint,
  isSamePlace,
  loadCheckpoints,
  lockCheckpoint,
  type ReadingPlace,
} from '@annals/platform/checkpoint'
import { recordMark, type BatchOutcome, type IncomingBatch, type TopicPartition } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { inTransaction, isTransientPostgresError, type Pool } from '@annals/platform/postgres'
import { ledgerTime } from '../ledger/clock'
import { park, recordIntents, recordRecipients, type RecordedIntent } from '../ledger/intents'
import type { NotifierMetrics } from '../metrics'
import type { Rule } from '../rules/rule'
import { eventTypesOf } from '../rules/rules'
import type { AdmissionPolicy } from './admission'
import { planOf, type Plan } from './plan'

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

/**
 * An instance that is frozen in the middle of a transaction holds its partition's checkpoint, and whoever has taken the
 * partition over waits for it: the server ends such a transaction. Its statements follow each other within milliseconds.
 */
const frozenMsMax = 10_000

/** The checkpoint was not where this instance last saw it; nothing was committed. */
class CheckpointMoved extends Error {
  override readonly name = 'CheckpointMoved'
}

/**
 * Events in, intents out: recipients, intents, parked records and the partition's checkpoint move in one transaction.
 * A record that can never be applied is found, and parked. All other faults are thrown, and the partition waits.
 */
export function createIntake({ pool, rules, admission, mailDomain, metrics, log, onDue }: IntakeDeps) {
  const options = { rules, admission, wanted: eventTypesOf(rules) }
  /** Where each checkpoint stood when this instance last read or moved it. */
  const known = new Map<string, ReadingPlace | undefined>()
  const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

  async function commit(batch: IncomingBatch, plan: Plan): Promise<void> {
    const handled = batch.records.findLast(({ offset }) => offset < plan.nextOffset)
    const reached: ReadingPlace = {
      nextOffset: plan.nextOffset,
      topicId: batch.topicId,
      ...(handled ? { last: { offset: handled.offset, mark: recordMark(handled) } } : {}),
    }
    const recorded = await inTransaction(pool, async (client) => {
      await client.query(`set local idle_in_transaction_session_timeout = ${frozenMsMax}`)
      const from = await lockCheckpoint(client, checkpointTable, batch)
      // Another instance was here, or the database was set back: what this batch follows on is not what the ledger holds.
      if (!isSamePlace(from, known.get(nameOf(batch)))) throw new CheckpointMoved()
      // Registrations first: a welcome needs no second look for whom it is.
      await recordRecipients(client, plan.registrations)
      const intents = await recordIntents(client, plan.intents, mailDomain)
      await park(client, plan.parked)
      const to = { ...reached, position: plan.position ?? from?.position ?? -1n }
      if (!(await advanceCheckpoint(client, checkpointTable, batch, from, to))) throw new CheckpointMoved()
      return intents
    })
    known.set(nameOf(batch), reached)
    tell(batch, plan, recorded)
    if (recorded.length > 0 || plan.registrations.length > 0) onDue()
  }

  function tell({ topic, partition }: TopicPartition, plan: Plan, recorded: readonly RecordedIntent[]): void {
    for (const { rule, channel, state } of recorded) metrics.intents.inc({ rule, channel, state })
    if (plan.unknownTypes > 0) metrics.unknownTypes.inc({ topic }, plan.unknownTypes)
    for (const { reason, offset, recorded: event } of plan.parked) {
      metrics.parked.inc({ topic })
      const facts = { topic, partition, offset: String(offset), eventId: event?.id, eventType: event?.type, reason }
      log.error(facts, 'record parked')
    }
  }

  /** @returns the plan that was carried out, or the one that ended it early. */
  async function applyAll(batch: IncomingBatch): Promise<Plan> {
    const plan = planOf(batch, options, await ledgerTime(pool))
    // Not even the first record may be passed: there is nothing to commit.
    if (plan.nextOffset > batch.records[0]!.offset) await commit(batch, plan)
    return plan
  }

  async function applyEach(batch: IncomingBatch): Promise<Plan> {
    const { topic, partition, records } = batch
    let plan: Plan | undefined
    for (const [i, record] of records.entries()) {
      const nextOffset = i === records.length - 1 ? batch.nextOffset : record.offset + 1n
      const single: IncomingBatch = { ...batch, records: [record], nextOffset }
      try {
        plan = await applyAll(single)
      } catch (error) {
        if (!isRecordFault(error)) throw error
        log.error({ err: error, topic, partition, offset: String(record.offset) }, 'record can not be applied')
        // The error's code only: its words may quote the record.
        const { code, name } = error as { code?: string; name: string }
        const parked = [
          { topic, partition, offset: record.offset, recorded: undefined, reason: `not applied: ${code ?? name}` },
        ]
        plan = { ...emptyPlan, nextOffset, parked }
        await commit(single, plan)
      }
      if (plan.newer) break
    }
    return plan!
  }

  return {
    async positions(assigned: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]> {
      const checkpoints = await loadCheckpoints(pool, checkpointTable, assigned)
      assigned.forEach((place, i) => known.set(nameOf(place), checkpoints[i]))
      return checkpoints
    },

    async handle(batch: IncomingBatch): Promise<BatchOutcome> {
      if (batch.records.length === 0) return { kind: 'done' }
      const { topic, partition } = batch
      try {
        const { newer, nextOffset } = await applyAll(batch).catch((error: unknown) => {
          if (isRecordFault(error)) return applyEach(batch)
          throw error
        })
        metrics.newerVersion.set({ topic, partition }, newer ? 1 : 0)
        if (!newer) return { kind: 'done' }
        const reason = `${newer} was written by a newer release`
        log.error({ topic, partition, offset: String(nextOffset) }, `partition waits: ${reason}; roll it out here`)
        return { kind: 'wait', waitMs: newerVersionWaitMs, reason, resumeAt: nextOffset }
      } catch (error) {
        if (error instanceof CheckpointMoved) return { kind: 'reposition' }
        throw error
      }
    },
  }
}

/**
 * Whether the record itself is at fault: its values (SQLSTATE class 22) break a rule of the ledger (23), or our own code on it.
 * Everything else, a missing table or right included, is not cured by parking.
 */
function isRecordFault(error: unknown): boolean {
  if (error instanceof CheckpointMoved || isTransientPostgresError(error)) return false
  const { code } = error as { code?: unknown }
  return typeof code !== 'string' || /^2[23]/.test(code)
}

const emptyPlan = {
  registrations: [],
  intents: [],
  unknownTypes: 0,
  position: undefined,
  newer: undefined,
} satisfies Partial<Plan>
