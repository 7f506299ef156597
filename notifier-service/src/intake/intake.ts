import type { EventLog } from '@annals/platform/event-log'
import type { Healer, Hole } from '@annals/platform/healing'
import type { BatchOutcome, IncomingBatch, PartitionedConsumer, TopicPartition } from '@annals/platform/kafka'
import { CheckpointMoved, createApply, Refused, type ApplyDeps, type Applied } from './apply'
import type { Arrived, Stop } from './plan'
import { readEvent, readRecord, type EventTypes } from './read-record'
import { readReference } from './reference'

export interface IntakeDeps extends ApplyDeps {
  eventTypes: EventTypes
  /** Reads what Kafka did not bring. */
  healer: Healer
  /** Has the content of what did not fit into a record. */
  eventLog: Pick<EventLog, 'readStream'>
  /** Called before places are handed out. @throws Error while nothing may be read yet. */
  beforeReading: () => Promise<void>
}

/** Reasons for which a partition waits, each with a runbook of its own. */
const waitReasons = ['newer-version', 'hole', 'reference', 'deliveries-set-back', 'log-refused'] as const
export type WaitReason = (typeof waitReasons)[number]

/** A newer release has to be rolled out here: looked at again in half a minute, which costs one read of the partition. */
const newerVersionWaitMs = 30_000
/** Everything else that people, or a server that is away, have to mend. */
const stoppedWaitMs = 5_000
/** Holes healed, and references read, before a batch is handed back: keeps its handler within seconds, however many there are. */
const logReadsMax = 50
const logReadsPauseMs = 100

const wordsOf = (stop: Stop): string => {
  const { type, stream, revision } = stop.at
  switch (stop.because) {
    case 'newer-version':
      return `${type} version ${stop.version} was written by a newer release: roll it out here`
    case 'hole':
      return `${stream} goes on with revision ${revision} after ${stop.after}, and the log does not tell what is missing`
    case 'reference':
      return `the content of ${stream} revision ${revision} is in the log only, which does not answer`
  }
}

/** Handler of the notifier's consumer: applies what Kafka brings, and what it did not bring from the log. */
export function createIntake(deps: IntakeDeps): Parameters<PartitionedConsumer['run']>[0] {
  const { eventTypes, healer, eventLog, metrics, log, beforeReading } = deps
  const { apply, places, lookAt } = createApply(deps)

  function waiting({ topic, partition }: TopicPartition, reason: WaitReason | undefined): void {
    for (const each of waitReasons) metrics.stopped.set({ topic, partition, reason: each }, each === reason ? 1 : 0)
    metrics.newerVersion.set({ topic, partition }, reason === 'newer-version' ? 1 : 0)
  }

  /** @returns what is to be applied in place of what had to wait; `undefined`: it can not be had. */
  async function fromLog({ why, rest, offset }: NonNullable<Applied['stop']>): Promise<Arrived[] | undefined> {
    if (why.because === 'newer-version') return undefined
    if (why.because === 'reference') {
      const read = await readReference(eventLog, why.at, eventTypes, log)
      return read && [{ offset, read }, ...rest.slice(1)]
    }
    const missing = await healer.missing({ after: why.after, before: why.at })
    return missing && [...missing.map((event) => ({ offset, read: readEvent(event, eventTypes) })), ...rest]
  }

  async function applyAll(batch: IncomingBatch): Promise<BatchOutcome> {
    const { topic, partition, records, nextOffset } = batch
    let arrived: Arrived[] = records.map((record) => ({ offset: record.offset, read: readRecord(record, eventTypes) }))
    let healing: { hole: Hole; events: number } | undefined
    for (let logReads = 0; ; logReads++) {
      const { witness, stop } = await apply(batch, arrived, nextOffset)
      const handled = arrived.length - (stop?.rest.length ?? 0)
      if (healing && handled >= healing.events) healer.healed(healing.hole, healing.events)
      if (!stop) {
        waiting(batch, undefined)
        return { kind: 'done', ...(witness === undefined ? {} : { commit: witness }) }
      }
      const { why, rest, offset } = stop
      if (logReads === logReadsMax)
        return { kind: 'wait', waitMs: logReadsPauseMs, reason: 'much is being read from the log', resumeAt: offset }
      const more = await fromLog(stop)
      if (!more) {
        waiting(batch, why.because)
        const reason = wordsOf(why)
        log.error({ topic, partition, offset: String(offset), because: why.because }, `partition waits: ${reason}`)
        const waitMs = why.because === 'newer-version' ? newerVersionWaitMs : stoppedWaitMs
        return { kind: 'wait', waitMs, reason, resumeAt: offset }
      }
      // Applied in one transaction with the event that came too early, under the same checkpoint.
      healing =
        why.because === 'hole'
          ? { hole: { after: why.after, before: why.at }, events: more.length - rest.length }
          : undefined
      arrived = more
    }
  }

  // 0 stands for "from the beginning", wherever retention has moved that to.
  const begun = (found: Awaited<ReturnType<typeof places>>) =>
    found.map((place) => (place?.nextOffset === 0n ? undefined : place))

  return {
    async positions(assigned) {
      await beforeReading()
      return begun(await places(assigned))
    },

    async look(assigned) {
      return begun(await lookAt(assigned))
    },

    async handle(batch) {
      if (batch.records.length === 0) return { kind: 'done' }
      try {
        return await applyAll(batch)
      } catch (error) {
        if (error instanceof CheckpointMoved) return { kind: 'reposition' }
        if (!(error instanceof Refused)) throw error
        waiting(batch, error.because)
        return { kind: 'wait', waitMs: stoppedWaitMs, reason: error.message }
      }
    },
  }
}
