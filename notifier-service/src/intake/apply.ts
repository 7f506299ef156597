import { isSamePlace, type ReadingPlace } from '@annals/platform/checkpoint'
import { recordMark, type IncomingBatch, type TopicPartition } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { inTransaction, isTransientPostgresError, type Pool, type PoolClient } from '@annals/platform/postgres'
import { park, recordIntents, type RecordedIntent } from '../deliveries/intents'
import { loadPlaces, loadRevisions, moveProgress, openProgress, saveRevisions } from '../deliveries/progress'
import { recordRecipients } from '../deliveries/recipients'
import { setAside } from '../deliveries/unread'
import type { NotifierMetrics } from '../metrics'
import type { Rule } from '../rules/rule'
import { encodeWitness } from '../set-back/witness'
import type { AdmissionPolicy } from './admission'
import { planOf, type Arrived, type Plan, type Stop } from './plan'

export interface ApplyDeps {
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

/** The checkpoint was not where this instance last saw it; nothing was committed. */
export class CheckpointMoved extends Error {
  override readonly name = 'CheckpointMoved'
}

/** Nothing may be read: the deliveries were set back, or the log is refused. Nothing was committed. */
export class Refused extends Error {
  override readonly name = 'Refused'
  constructor(
    readonly because: 'deliveries-set-back' | 'log-refused',
    message: string,
  ) {
    super(message)
  }
}

/** What became of records that were applied, and what did not. */
export interface Applied {
  /** What Kafka is told of how far the deliveries came. */
  witness: string | undefined
  stop: { why: Stop; rest: readonly Arrived[]; offset: bigint } | undefined
}

/**
 * Events in, intents out: recipients, intents, stream revisions, parked and unread events and the partition's checkpoint move in one
 * transaction. A record that can never be applied is found, and parked; all other faults are thrown.
 */
export function createApply({ pool, rules, admission, mailDomain, metrics, log, onDue }: ApplyDeps) {
  /** Where each checkpoint stood when this instance last read or moved it. */
  const known = new Map<string, ReadingPlace | undefined>()
  const nameOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

  /** One transaction: what arrived, up to the first that has to wait. @param nextOffset where reading goes on behind all of it. */
  async function transact(batch: IncomingBatch, arrived: readonly Arrived[], nextOffset: bigint): Promise<Applied> {
    const done = await inTransaction(pool, async (client) => {
      const progress = await openProgress(client, batch)
      if (progress.isHeld) throw new Refused('deliveries-set-back', 'the deliveries were set back')
      if (progress.refusal !== null) throw new Refused('log-refused', progress.refusal)
      // Another instance was here, or the database was set back: what this batch follows on is not what the database holds.
      if (!isSamePlace(progress.checkpoint, known.get(nameOf(batch)))) throw new CheckpointMoved()
      const streams = arrived.flatMap(({ read }) => (read.at ? [read.at.stream] : []))
      const standing = { ...progress, revisions: await loadRevisions(client, streams) }
      const plan = planOf(batch, arrived, standing, { rules, admission })
      const rest = arrived.slice(plan.handled)
      // Not even the first may be passed: there is nothing to commit.
      if (plan.handled === 0) return { plan, rest, recorded: [], moved: undefined }
      const recorded = await write(client, plan)
      const reached = reachedIn(batch, rest[0]?.offset ?? nextOffset, progress.checkpoint)
      const moved = await moveProgress(client, batch, progress, reached, plan.furthest)
      if (!moved) throw new CheckpointMoved()
      return { plan, rest, recorded, moved: { ...moved, reached, at: new Date(progress.now).toISOString() } }
    })
    const { plan, rest, recorded, moved } = done
    if (moved) known.set(nameOf(batch), moved.reached)
    tell(batch, plan, recorded)
    if (recorded.length > 0 || plan.recipients.length > 0) onDue()
    return {
      witness:
        moved &&
        encodeWitness({
          v: 1,
          topic: batch.topicId,
          moves: Number(moved.moves),
          position: String(moved.position),
          at: moved.at,
        }),
      stop: plan.stop && { why: plan.stop, rest, offset: rest[0]!.offset },
    }
  }

  async function write(client: PoolClient, plan: Plan): Promise<RecordedIntent[]> {
    // Recipients first: a welcome needs no second look for whom it is.
    await recordRecipients(client, plan.recipients)
    const recorded = await recordIntents(client, plan.intents, mailDomain)
    await park(client, plan.parked)
    await setAside(client, plan.unread)
    await saveRevisions(client, plan.revisions)
    return recorded
  }

  function tell({ topic, partition }: TopicPartition, plan: Plan, recorded: readonly RecordedIntent[]): void {
    for (const { rule, channel, state } of recorded) metrics.intents.inc({ rule, channel, state })
    if (plan.unread.length > 0) metrics.unknownTypes.inc({ topic }, plan.unread.length)
    if (plan.duplicates > 0) metrics.duplicates.inc({ topic }, plan.duplicates)
    for (const { reason, offset, at } of plan.parked) {
      metrics.parked.inc({ topic })
      log.error(
        { topic, partition, offset: String(offset), eventId: at?.id, eventType: at?.type, reason },
        'record parked',
      )
    }
  }

  /** All at once; when one of them is at fault, each by itself, and that one is parked. */
  async function apply(batch: IncomingBatch, arrived: readonly Arrived[], nextOffset: bigint): Promise<Applied> {
    try {
      return await transact(batch, arrived, nextOffset)
    } catch (error) {
      if (!isRecordFault(error)) throw error
    }
    let applied: Applied = { witness: undefined, stop: undefined }
    for (const [i, one] of arrived.entries()) {
      const next = arrived[i + 1]?.offset ?? nextOffset
      try {
        applied = await transact(batch, [one], next)
      } catch (error) {
        if (!isRecordFault(error)) throw error
        const { topic, partition } = batch
        log.error({ err: error, topic, partition, offset: String(one.offset) }, 'record cannot be applied')
        // The error's code only: its words may quote the record.
        const { code, name } = error as { code?: string; name: string }
        const read = { kind: 'park' as const, at: one.read.at!, reason: `not applied: ${code ?? name}` }
        applied = await transact(batch, [{ ...one, read }], next)
      }
      if (applied.stop) return { ...applied, stop: { ...applied.stop, rest: arrived.slice(i) } }
    }
    return applied
  }

  return {
    apply,
    /** Where these partitions stand now. */
    lookAt: (places: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]> => loadPlaces(pool, places),
    /** The same, and what the next transaction on each must find. */
    async places(assigned: readonly TopicPartition[]): Promise<(ReadingPlace | undefined)[]> {
      const checkpoints = await loadPlaces(pool, assigned)
      assigned.forEach((place, i) => known.set(nameOf(place), checkpoints[i]))
      return checkpoints
    },
  }
}

/**
 * The place that is reached when everything before `nextOffset` was handled.
 * @param from where the checkpoint stood: what it tells of the record before holds for as long as nothing of this batch was handled.
 */
function reachedIn(
  { topicId, records }: IncomingBatch,
  nextOffset: bigint,
  from: ReadingPlace | undefined,
): ReadingPlace {
  const handled = records.findLast(({ offset }) => offset < nextOffset)
  const before = from?.topicId === topicId && from.last && from.last.offset < nextOffset ? from.last : undefined
  const last = handled ? { offset: handled.offset, mark: recordMark(handled) } : before
  return { nextOffset, topicId, ...(last ? { last } : {}) }
}

/**
 * Whether the record itself is at fault: its values (SQLSTATE class 22) break a rule of the tables (23), or our own code on it.
 * Everything else, a missing table or right included, is not cured by parking.
 */
function isRecordFault(error: unknown): boolean {
  if (error instanceof CheckpointMoved || error instanceof Refused || isTransientPostgresError(error)) return false
  const { code } = error as { code?: unknown }
  return typeof code !== 'string' || /^2[23]/.test(code)
}
