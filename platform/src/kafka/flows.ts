import type { Consumer } from 'kafkajs'
import type { Logger } from 'pino'
import type { ConsumerMetrics } from './consumer-metrics'
import type { TopicPartition } from './ports'

/** One partition that this instance holds, for as long as the group's generation lasts. */
export interface Flow extends TopicPartition {
  /** Kafka's id of the topic when the partition was placed; `''`: not placed yet. */
  topicId: string
  /** Offset from which the next batch is fetched; `undefined`: not known. A batch from elsewhere is not taken. */
  at: bigint | undefined
  /** What the first record of the next batch has to be: it was handled before, and is read to see that this is the log it was in. */
  known: { offset: bigint; mark: string } | undefined
  /** Where the handler's effects stand, as far as is known here: its position when the partition was placed, or behind what it has handled. */
  kept: bigint
  /** A batch is being handled. */
  isBusy: boolean
  waiting: string | undefined
  /** Attempts in a row that came to nothing. */
  failures: number
  timer: NodeJS.Timeout | undefined
  /** Epoch ms: time of the oldest record known here that is not handled yet; `undefined`: none is known. */
  behindSince: number | undefined
  /** Epoch ms since which it gets nowhere, and nobody wants it so; `undefined`: it is not so. */
  stuckSince: number | undefined
  /** Offset of the first record that was handed over and is not handled yet. */
  owedAt: bigint | undefined
}

/**
 * Between attempts at what may come back by itself: a handler that throws, positions that can not be read. A database that
 * restarts is away for seconds; readers of their own writes wait for the rest of this besides.
 */
export const retryBackoff = { firstMs: 500, maxMs: 5_000 }

export const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

export type Flows = ReturnType<typeof createFlows>

/** The partitions that this instance holds now, and what lets each of them flow or wait. */
export function createFlows(
  consumer: Consumer,
  { log, meter, signal }: { log: Logger; meter: ConsumerMetrics | undefined; signal: AbortSignal },
) {
  let held = new Map<string, Flow>()

  const isCurrent = (flow: Flow) => !signal.aborted && held.get(keyOf(flow)) === flow

  /** Nothing more is fetched of it. */
  function hold(flow: Flow, reason: string): void {
    flow.waiting = reason
    flow.at = undefined
    meter?.waiting(flow, true)
    consumer.pause([{ topic: flow.topic, partitions: [flow.partition] }])
  }

  function flowFrom(flow: Flow, offset: bigint, known?: Flow['known']): void {
    // Between a crash and its restart there is nothing to move; the join that follows places every partition anew.
    try {
      consumer.seek({ topic: flow.topic, partition: flow.partition, offset: String(offset) })
      consumer.resume([{ topic: flow.topic, partitions: [flow.partition] }])
    } catch (error) {
      log.debug({ err: error }, 'the group was left meanwhile')
      return
    }
    flow.at = offset
    flow.known = known
    flow.waiting = undefined
    meter?.waiting(flow, false)
  }

  /** Does `work` later, instead of whatever was to be done, if the partition is still held then. */
  function later(flow: Flow, ms: number, work: () => void): void {
    clearTimeout(flow.timer)
    flow.timer = setTimeout(() => {
      flow.timer = undefined
      if (isCurrent(flow)) work()
    }, ms)
  }

  return {
    isCurrent,
    hold,
    flowFrom,
    later,
    of: (place: TopicPartition): Flow | undefined => held.get(keyOf(place)),
    all: (): Flow[] => [...held.values()],

    /** The group has a new generation. @returns what is held in it, waiting for its place. */
    take(assignment: Record<string, number[]>): Flow[] {
      const before = held
      for (const flow of before.values()) {
        clearTimeout(flow.timer)
        meter?.lost(flow)
      }
      const taken = Object.entries(assignment).flatMap(([topic, partitions]) =>
        partitions.map((partition): Flow => ({
          topic,
          partition,
          topicId: '',
          at: undefined,
          known: undefined,
          kept: 0n,
          isBusy: false,
          waiting: undefined,
          failures: 0,
          timer: undefined,
          behindSince: undefined,
          // To join again is no progress.
          stuckSince: before.get(keyOf({ topic, partition }))?.stuckSince,
          owedAt: before.get(keyOf({ topic, partition }))?.owedAt,
        })),
      )
      held = new Map(taken.map((flow) => [keyOf(flow), flow]))
      return taken
    },

    /** Does nothing any more. */
    end(): void {
      for (const flow of held.values()) clearTimeout(flow.timer)
      held.clear()
    },
  }
}
