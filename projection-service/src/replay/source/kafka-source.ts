import { randomUUID } from 'node:crypto'
import { fromCloudEvent, type TopicName } from '@annals/contracts'
import {
  createConsumer,
  createTopics,
  type IncomingBatch,
  type ReadingPlace,
  type TopicPartition,
  connectionOf,
  type KafkaConnection,
} from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import type { PlacedEvent } from '../fold/bulk-fold'
import { placed, type EventSource } from './event-source'

/** The topics do not hold all that was ever published, so nothing can be folded from them. */
export class TopicsIncomplete extends Error {
  override readonly name = 'TopicsIncomplete'
}

export interface KafkaSourceOptions extends KafkaConnection {
  log: Logger
  /** The last log position that is wanted; `undefined`: what the topics hold now. */
  until?: bigint | undefined
  /** Before every topic's name; none in production. */
  topicPrefix?: string
}

/** A batch that waits to be folded, and the consumer that waits for that. */
interface Waiting {
  events: readonly PlacedEvent[]
  folded: () => void
}

const nameOfPlace = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

/**
 * The topics from their first record to where they end now: committed records only, as a group of its own that commits
 * nothing. At most one batch (1 MiB) of each partition is in memory.
 * @throws (while it is read) TopicsIncomplete when retention has deleted records, or content that is in the log only is wanted.
 */
export function kafkaSource(names: readonly TopicName[], options: KafkaSourceOptions): EventSource {
  const { log, until, topicPrefix = '' } = options
  const client = { ...connectionOf(options), log, clientId: 'annals-replay' }
  const nameOf = new Map(names.map((name) => [`${topicPrefix}${name}`, name]))

  /** Where every partition ends now, without those that are empty. */
  async function ends(): Promise<Map<string, bigint>> {
    const admin = createTopics(client)
    try {
      const found = new Map<string, bigint>()
      for (const topic of nameOf.keys()) {
        const ranges = await admin.offsets(topic)
        if (!ranges) throw new TopicsIncomplete(`there is no topic ${topic}`)
        for (const { partition, low, high } of ranges) {
          if (low > 0n)
            throw new TopicsIncomplete(
              `${topic}/${partition} begins at offset ${low}: older records were deleted, fold from the log instead`,
            )
          if (high > 0n) found.set(`${topic}/${partition}`, high)
        }
      }
      return found
    } finally {
      await admin.close()
    }
  }

  const eventsOf = ({ records }: IncomingBatch) =>
    records.flatMap((record) => {
      const read = fromCloudEvent(record)
      if (!read.ok && read.reference)
        throw new TopicsIncomplete(
          `the content of ${read.reference.stream}@${read.reference.revision} is in the log only: fold from the log instead`,
        )
      // Had a foreign record taken an event's place, the next revision would tell.
      if (!read.ok || (until !== undefined && read.event.position > until)) return []
      const one = placed(read.event)
      return one ? [one] : []
    })

  return {
    repeats: 'passed-over',
    async *chunks(signal) {
      const left = await ends()
      if (left.size === 0) return
      // A consumer that is stopped while it starts leaves a connection behind.
      signal.throwIfAborted()
      const queue: Waiting[] = []
      const positions = new Map<string, ReadingPlace>()
      let failed: Error | undefined
      let wake = () => {}
      const told = () => wake()
      const consumer = createConsumer({
        ...client,
        // A batch waits for as long as folding takes.
        handleMsMax: Number.POSITIVE_INFINITY,
        groupId: `annals.replay.${randomUUID()}`,
        topics: [...nameOf.keys()],
        onFatal: (error) => {
          failed = error
          told()
        },
      })
      const running = consumer.run({
        positions: async (assigned) => assigned.map((place) => positions.get(nameOfPlace(place))),
        async handle(batch) {
          let events: PlacedEvent[] = []
          try {
            events = eventsOf(batch)
          } catch (error) {
            failed = error as Error
            told()
          }
          if (events.length > 0) {
            await new Promise<void>((resolve) => {
              queue.push({ events, folded: resolve })
              told()
            })
          }
          const { topicId, nextOffset } = batch
          positions.set(nameOfPlace(batch), { topicId, nextOffset })
          return { kind: 'done' }
        },
        passed({ topic, partition }, nextOffset) {
          const key = nameOfPlace({ topic, partition })
          if (nextOffset < (left.get(key) ?? 0n)) return
          left.delete(key)
          told()
        },
      })
      running.catch((error: Error) => {
        failed = error
        told()
      })
      signal.addEventListener('abort', told)
      try {
        for (;;) {
          signal.throwIfAborted()
          if (failed) throw failed
          const next = queue.shift()
          if (next) {
            yield next.events
            next.folded()
          } else if (left.size === 0) return
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        signal.removeEventListener('abort', told)
        for (const { folded } of queue.splice(0)) folded()
        await consumer.stop()
      }
    },
  }
}
