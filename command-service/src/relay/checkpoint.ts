import { z } from 'zod'
import type { CommittedPosition, TopicState } from '@annals/platform/kafka'
import { RelayRefusal } from './refusals'

/** What was published into a topic. */
export interface TopicPlace {
  /** Kafka's id of it. */
  id: string
  /** Where each partition ended at least, by number. */
  ends: readonly bigint[]
  /** The log position that this topic has got to, where it is another than the rest's; -1: nothing is published yet. */
  after?: bigint | undefined
}

/**
 * How far publishing has come, and by what that is recognised: a position alone says nothing about a log that was restored,
 * or a topic that was made anew.
 */
export interface RelayCheckpoint {
  /** Of the last event published; -1: none. */
  position: bigint
  /** The log's identity; `undefined`: it was empty, or a former release wrote the checkpoint. */
  log?: string | undefined
  /** Id of the event at the position. */
  event?: string | undefined
  /** Also those of other releases, which the route does not name any more. */
  topics: ReadonlyMap<string, TopicPlace>
  /** A former release wrote it: nothing is known but the position. */
  isBare: boolean
  /** The route that goes on with this one's work. */
  handedTo?: string | undefined
  /** Of the main relay: its work is divided, and each route has these topics and begins where this checkpoint stands. */
  routes?: readonly (readonly string[])[] | undefined
  /** Names one division of the work: of the main relay the present one, of a route the one in which it came here. */
  division?: string | undefined
  /** Of a route: it goes no further, since its topics are being taken to other routes. */
  isClosed?: boolean | undefined
}

const Metadata = z.object({
  // 2: the work is divided. A release that does not know of that must not go on with all of it.
  v: z.literal([1, 2]),
  log: z.string().optional(),
  event: z.string().optional(),
  topics: z.record(
    z.string(),
    z.object({
      id: z.string(),
      ends: z.array(z.int().nonnegative()),
      after: z
        .string()
        .regex(/^-?\d{1,19}$/)
        .optional(),
    }),
  ),
  handedTo: z.string().optional(),
  routes: z.array(z.array(z.string())).optional(),
  division: z.string().optional(),
  closed: z.literal(true).optional(),
})

/** Kafka's `offset.metadata.max.bytes` is 4,096. */
const metadataBytesMax = 4_000

/** @throws RelayRefusal when a newer release wrote it. */
export function readCheckpoint({ position, metadata }: CommittedPosition): RelayCheckpoint {
  if (metadata === '') return { position, topics: new Map(), isBare: true }
  const parsed = Metadata.safeParse(jsonOf(metadata))
  if (!parsed.success)
    throw new RelayRefusal(
      'The relay cannot read its checkpoint: another release wrote it. Nothing was published. Choose:\n' +
        '  1. Start the relay of the release that wrote it.',
    )
  const { log, event, topics, handedTo, routes, division, closed } = parsed.data
  const places = Object.entries(topics).map(([topic, { id, ends, after }]): [string, TopicPlace] => [
    topic,
    { id, ends: ends.map(BigInt), ...(after === undefined ? {} : { after: BigInt(after) }) },
  ])
  const divided = { routes, division, isClosed: closed }
  return { position, log, event, topics: new Map(places), handedTo, ...divided, isBare: false }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What is kept beside the position. Where that is too long for Kafka, only the sum of a topic's ends is kept. */
export function checkpointText(checkpoint: RelayCheckpoint): string {
  const { log, event, topics, handedTo, routes, division, isClosed } = checkpoint
  const text = (endsOf: (place: TopicPlace) => number[]) =>
    JSON.stringify({
      v: division === undefined ? 1 : 2,
      log,
      event,
      handedTo,
      routes,
      division,
      closed: isClosed || undefined,
      topics: Object.fromEntries(
        [...topics].map(([topic, place]) => [
          topic,
          { id: place.id, ends: endsOf(place), after: place.after?.toString() },
        ]),
      ),
    })
  const whole = text(({ ends }) => ends.map(Number))
  return Buffer.byteLength(whole) <= metadataBytesMax ? whole : text(({ ends }) => [Number(sumOf(ends))])
}

const sumOf = (numbers: readonly bigint[]) => numbers.reduce((sum, one) => sum + one, 0n)

export const endsOf = ({ partitions }: TopicState): bigint[] => partitions.map(({ high }) => high)

/** Whether a topic, as it is now, is the one that was published into, with all that was. */
export function isSameTopic({ id, ends }: TopicPlace, state: TopicState): boolean {
  if (id !== state.id) return false
  const now = endsOf(state)
  if (ends.length === now.length) return ends.every((end, partition) => now[partition]! >= end)
  return sumOf(now) >= sumOf(ends)
}
