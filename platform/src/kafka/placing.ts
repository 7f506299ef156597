import type { Logger } from 'pino'
import { backoffMs } from '../backoff'
import { withDeadline } from './deadline'
import type { ConsumerMetrics } from './consumer-metrics'
import { keyOf, retryBackoff, type Flow, type Flows } from './flows'
import type { PartitionHandler, ReadingPlace } from './ports'
import { startOf, type RestartReason, type Start } from './start-of'
import type { PartitionOffsets, Topics } from './topics'

/** A place that means nothing in its partition needs an operator; asked again in case one has acted. */
const standingStillRetryMs = 30_000
/** A topic that is not there is being made anew, or will be. */
const missingRetryMs = 5_000
/** Longer than all the deadlines of a database's query and of Kafka's requests together: what takes longer never comes. */
const placingMsMax = 45_000

export type Placing = ReturnType<typeof createPlacing>

/** Finds where partitions go on, by the content of what was read last. */
export function createPlacing(
  handler: PartitionHandler,
  { flows, topics, log, meter }: { flows: Flows; topics: Topics; log: Logger; meter: ConsumerMetrics | undefined },
) {
  /** What there is of the topics. Ids first: should a topic be made anew in between, the next look at ids finds it. */
  async function look(names: readonly string[]) {
    const ids = await topics.ids(names)
    const ranges = new Map<string, PartitionOffsets>()
    for (const topic of names)
      for (const range of (await topics.offsets(topic)) ?? []) ranges.set(`${topic}/${range.partition}`, range)
    return { ids, ranges }
  }

  function goOn(flow: Flow, nextOffset: bigint, { at, known }: Extract<Start, { kind: 'goes-on' }>): void {
    // What another instance has handled is owed no more; what is going to be handed over again is.
    if (flow.owedAt !== undefined && nextOffset > flow.owedAt) flow.owedAt = undefined
    if (flow.owedAt === undefined) flow.stuckSince = undefined
    flows.flowFrom(flow, at, known)
  }

  function beginAgain(flow: Flow, at: bigint, because: RestartReason, why: string): void {
    const { topic, partition } = flow
    meter?.restarted(topic, because)
    flow.owedAt = undefined
    flow.stuckSince = undefined
    log.error(
      { topic, partition, because, at: String(at) },
      `the topic is not the one that was read, its partition is read from the first record again: ${why}`,
    )
    flows.flowFrom(flow, at)
  }

  function standStill(flow: Flow, why: string, retryMs: number): void {
    const { topic, partition } = flow
    log.error({ topic, partition }, `partition stands still: ${why}`)
    flow.waiting = why
    flow.stuckSince ??= Date.now()
    flows.later(flow, retryMs, () => void place([flow]))
  }

  /** Finds where partitions go on, and lets them. They are held before, and stay so until it is known. */
  async function place(placed: readonly Flow[]): Promise<void> {
    if (placed.length === 0) return
    try {
      const names = [...new Set(placed.map(({ topic }) => topic))]
      const { ids, ranges, positions } = await withDeadline(placingMsMax, 'to find where to read', async () => ({
        ...(await look(names)),
        positions: await handler.positions(placed.map(({ topic, partition }) => ({ topic, partition }))),
      }))
      for (const [i, flow] of placed.entries()) {
        if (!flows.isCurrent(flow)) continue
        const range = ranges.get(keyOf(flow))
        const topicId = ids.get(flow.topic)
        if (!range || !topicId) {
          standStill(flow, 'the partition is not there', missingRetryMs)
          continue
        }
        flow.topicId = topicId
        flow.kept = keptAt(positions[i])
        const start = startOf(positions[i], { ...range, topicId })
        if (start.kind === 'stands-still') standStill(flow, start.why, standingStillRetryMs)
        else if (start.kind === 'begins-again') beginAgain(flow, start.at, start.because, start.why)
        else goOn(flow, positions[i]?.nextOffset ?? start.at, start)
      }
    } catch (error) {
      for (const flow of placed) {
        if (!flows.isCurrent(flow)) continue
        flow.stuckSince ??= Date.now()
        const waitMs = backoffMs(retryBackoff, ++flow.failures, Math.random())
        flows.later(flow, waitMs, () => void place([flow]))
      }
      log.warn({ err: error }, 'positions could not be read, trying again')
    }
  }

  /** Holds a partition and places it anew, at once the first time: what is never content must not spin. */
  function placeAnew(flow: Flow): void {
    flows.hold(flow, 'position is being read')
    const waitMs = flow.failures === 0 ? 0 : backoffMs(retryBackoff, flow.failures, Math.random())
    flow.failures++
    flows.later(flow, waitMs, () => void place([flow]))
  }

  return {
    place,
    placeAnew,

    /** The record that was read last is not there as it was. */
    async otherContent(flow: Flow, found: string): Promise<void> {
      const { topic, partition, known } = flow
      flows.hold(flow, 'the partition is read from its first record again')
      try {
        const low = (await topics.offsets(topic))?.find((range) => range.partition === partition)?.low
        if (!flows.isCurrent(flow)) return
        if (low === undefined) return placeAnew(flow)
        const why = `at offset ${known?.offset} the event ${known?.mark} was read before, and now there is ${found}`
        beginAgain(flow, low, 'other-content', why)
      } catch (error) {
        log.warn({ err: error }, 'where the partition begins could not be read, trying again')
        if (flows.isCurrent(flow)) placeAnew(flow)
      }
    },

    /**
     * Places anew what belongs to a topic that is another one now, or gone: the group need not notice. And what its handler has at another
     * position than it left it at: its database was set back, and where nothing new arrives no batch would tell.
     */
    async recheck(): Promise<void> {
      const placed = flows.all().filter(({ topicId }) => topicId !== '')
      if (placed.length === 0) return
      const ids = await topics.ids([...new Set(placed.map(({ topic }) => topic))])
      for (const flow of placed)
        if (flows.isCurrent(flow) && flow.topicId !== '' && ids.get(flow.topic) !== flow.topicId) {
          flow.topicId = ''
          placeAnew(flow)
        }

      const rests = (flow: Flow) => flows.isCurrent(flow) && flow.waiting === undefined && !flow.isBusy
      const resting = placed.filter(rests)
      const seen = resting.map(({ kept }) => kept)
      const places = resting.map(({ topic, partition }) => ({ topic, partition }))
      // Not `positions`: a partition that gets a batch meanwhile is not placed anew, and would go on as if it had been.
      const positions = await withDeadline(placingMsMax, 'to look at positions again', () =>
        handler.look ? handler.look(places) : handler.positions(places),
      )
      for (const [i, flow] of resting.entries()) {
        const { topic, partition, kept } = flow
        const position = keptAt(positions[i])
        if (!rests(flow) || kept !== seen[i] || position === kept) continue
        log.warn(
          { topic, partition, kept: String(kept), position: String(position) },
          'the position was moved by others',
        )
        placeAnew(flow)
      }
    },
  }
}

const keptAt = (place: ReadingPlace | undefined): bigint => place?.nextOffset ?? 0n
