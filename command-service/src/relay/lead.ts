import { pause } from '@annals/platform/backoff'
import { LogChanged, type EventLog } from '@annals/platform/event-log'
import type { CheckpointedPublisher, CommittedPosition, Topics } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { assess, noWishes, type Beginning, type Wishes, type World } from './assess'
import { checkpointText, endsOf, type RelayCheckpoint, type TopicPlace } from './checkpoint'
import { goesOnFrom, type GoingOn } from './division'
import { EventQueue, type Batch, type BatchLimits } from './event-queue'
import { beginsAt } from './pacing'
import { Publication } from './publication'
import { toQueued } from './queued-event'
import { RelayRefusal } from './refusals'
import type { RelayMetrics } from './relay-metrics'
import { inBatchSpan } from './batch-span'
import { checkpointTopic, fillerName, prefixesOf, type Route } from './route'

export interface LeadOptions {
  route: Route
  eventLog: EventLog
  publisher: CheckpointedPublisher
  topics: Pick<Topics, 'states' | 'ensure' | 'remove'>
  /** Of topics that are made. */
  replicationFactor: number
  /** The publisher of a relay of another name: of one that fills a topic, or of the main one. */
  publisherOf: (name: string) => CheckpointedPublisher
  log: Logger
  metrics?: RelayMetrics | undefined
  signal: AbortSignal
  untilCaughtUp?: boolean | undefined
  limits: BatchLimits
  /** How often log and topics are held against the checkpoint. */
  compareEveryMs: number
}

/** What a lead tells while it lasts. */
export interface LeadObserver {
  /** Transactions work, and publishing goes on from there. */
  leading(): void
  /** Log and topics are what the checkpoint says. */
  compared(): void
  published(): void
  /** What waits to be published; `undefined`: nothing is read any more. */
  queue(queue: EventQueue | undefined): void
}

/**
 * Positions that have not moved are committed again after this time: brokers forget offsets that nobody has committed for
 * `offsets.retention.minutes`, 7 days by default.
 */
const refreshEveryMs = 60 * 60 * 1_000
/** A finding is told when it is made twice: between two looks the topics can grow, and a checkpoint move. */
const lookAgainMs = 1_000

const worldOf = ({ route, eventLog, topics, publisherOf, signal }: LeadOptions, division?: string): World => ({
  route,
  eventLog,
  topics,
  publisherOf,
  signal,
  division,
})

/** @param own what the route's group has committed. @throws RelayRefusal */
async function goingOn({ route, publisherOf }: LeadOptions, own: CommittedPosition | undefined): Promise<GoingOn> {
  const whole = route.part && (await publisherOf(route.part.of.name).committed())
  return goesOnFrom(route, own, whole)
}

/** Holds what is committed against log and topics, and disturbs nobody. @throws as `assess` */
async function look(options: LeadOptions, wishes: Wishes): Promise<Beginning> {
  // A group's offset needs its topic to be asked for.
  await options.topics.ensure([{ topic: checkpointTopic, partitions: 1 }], options.replicationFactor)
  const { committed, division } = await goingOn(options, await options.publisher.committed())
  return assess(committed, worldOf(options, division), wishes)
}

/** The same, and a refusal only when it is said twice. */
export async function lookTwice(options: LeadOptions, wishes: Wishes): Promise<Beginning> {
  try {
    return await look(options, wishes)
  } catch (error) {
    if (!(error instanceof RelayRefusal)) throw error
    await pause(lookAgainMs, options.signal)
    return look(options, wishes)
  }
}

const isSame = (a: CommittedPosition | undefined, b: CommittedPosition | undefined) =>
  a?.position === b?.position && a?.metadata === b?.metadata

/**
 * From taking over to where publishing goes on. What can be refused is refused before another relay is fenced for it.
 * @throws RelayRefusal; HandedOver; TopicMismatch
 */
async function takeOver(options: LeadOptions, wishes: Wishes): Promise<{ publication: Publication; limits: Limits }> {
  const { route, publisher, topics, replicationFactor } = options
  await topics.ensure([{ topic: checkpointTopic, partitions: 1 }], replicationFactor)
  const before = await goingOn(options, await publisher.committed())
  const looked = await assess(before.committed, worldOf(options, before.division), wishes)
  // Read again behind the fence: whoever divides the work otherwise has to pass it, too.
  const { committed, division, whole } = await goingOn(options, await publisher.takeOver())
  const isAsBefore = isSame(before.committed, committed) && before.division === division
  const beginning = isAsBefore ? looked : await assess(committed, worldOf(options, division), wishes)

  const { checkpoint, states } = await prepared(beginning, options)
  const publication = new Publication(publisher, new Set(route.topics.map(({ topic }) => topic)), checkpoint, whole)
  // Proves that transactions work here, before this instance calls itself ready.
  await publication.confirm()
  return { publication, limits: new Map([...states].map(([topic, { batchBytesMax }]) => [topic, batchBytesMax])) }
}

type Limits = ReadonlyMap<string, number>

/** Does what has to be done before: nothing of it counts until the checkpoint is committed, and all of it can be done again. */
async function prepared({ checkpoint, remove, enter, takeOver, states }: Beginning, options: LeadOptions) {
  const { route, topics, log } = options
  if (remove.length > 0) {
    log.warn({ topics: remove }, 'deleting topics, as the operator decided')
    await topics.remove(remove)
  }
  const isComplete = route.topics.every(({ topic, partitions }) => states.get(topic)?.partitions.length === partitions)
  if (enter.size > 0 || !isComplete) await topics.ensure(route.topics, options.replicationFactor)
  const now = enter.size > 0 ? await topics.states(route.topics.map(({ topic }) => topic)) : states
  const places = new Map<string, TopicPlace>(checkpoint.topics)
  const enteredAt = (topic: string) => ({ id: now.get(topic)!.id, ends: endsOf(now.get(topic)!) })
  for (const [topic, { after }] of enter) {
    places.set(topic, { ...enteredAt(topic), ...(after === undefined ? {} : { after }) })
    if (after !== undefined) log.info({ topic, after: String(after) }, 'filling the topic from the log')
  }
  for (const topic of takeOver.keys()) {
    const after = await handOver(topic, options)
    places.set(topic, { ...enteredAt(topic), ...(after === checkpoint.position ? {} : { after }) })
  }
  return { checkpoint: { ...checkpoint, topics: places }, states: now }
}

/**
 * Ends the relay that has filled a topic so far: it is fenced, and what it finds afterwards tells it to stay away.
 * @returns how far it came.
 */
async function handOver(topic: string, { route, publisherOf, log }: LeadOptions): Promise<bigint> {
  const filler = publisherOf(fillerName(route, topic))
  try {
    const committed = await filler.takeOver()
    const { position } = committed!
    const handed: RelayCheckpoint = { position, topics: new Map(), isBare: false, handedTo: route.name }
    const text = JSON.stringify({ ...(JSON.parse(committed!.metadata) as object), handedTo: route.name })
    await filler.publish([], position, () => (committed!.metadata === '' ? checkpointText(handed) : text))
    log.info({ topic, after: String(position) }, 'the topic is filled by this relay from here on')
    return position
  } finally {
    await filler.close()
  }
}

/** Publishes what the log holds and what comes, until it is told to end. */
class Lead {
  readonly #reading = new AbortController()
  #failure: Error | undefined

  constructor(
    private readonly options: LeadOptions,
    private readonly observer: LeadObserver,
    private readonly publication: Publication,
    private readonly limits: Limits,
  ) {}

  async run(): Promise<void> {
    const { signal } = this.options
    const stop = () => this.#reading.abort()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    // Not waited for at the end: what it asks may be away.
    void this.#watch()
    try {
      await this.#fillBehind()
      await this.#follow()
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
      this.observer.queue(undefined)
    }
    if (this.#failure) throw this.#failure
  }

  /** What is found ends the lead at once; what was read and not published is left. */
  #give(failure: Error): void {
    this.#failure ??= failure
    this.#reading.abort()
  }

  /** Holds log and topics against the checkpoint, all the while. */
  async #watch(): Promise<void> {
    const { signal } = this.#reading
    const { log, compareEveryMs } = this.options
    const compare = async () => {
      const { checkpoint } = this.publication
      const committed = { position: checkpoint.position, metadata: checkpointText(checkpoint) }
      const { enter } = await assess(committed, { ...worldOf(this.options), signal }, noWishes)
      if (enter.size > 0) this.#give(new Error(`${[...enter.keys()].join(', ')} has to be made again`))
    }
    for (;;) {
      await pause(compareEveryMs, signal)
      if (signal.aborted) return
      try {
        await compare()
        this.observer.compared()
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof RelayRefusal) return this.#give(error)
        log.warn({ err: error }, 'log and topics cannot be compared with the checkpoint now')
      }
    }
  }

  /** Topics that stand before the rest get what they lack, up to where the rest stands. */
  async #fillBehind(): Promise<void> {
    const { behind, checkpoint } = this.publication
    if (behind.size === 0) return
    const filled = new Set(behind.keys())
    const start = [...behind.values()].reduce((least, after) => (after < least ? after : least))
    const topics = this.options.route.topics.filter(({ topic }) => filled.has(topic))
    const queue = this.#queue()
    const isWhole = await this.#copy(
      queue,
      async () => {
        for await (const event of this.options.eventLog.readAll({ ...from(start), prefixes: prefixesOf({ topics }) })) {
          if (this.#reading.signal.aborted) return false
          if (event.position > checkpoint.position) break
          await this.#put(queue, event)
        }
        return true
      },
      (batch) => this.publication.fill(batch, filled),
    )
    if (!isWhole) return
    await this.publication.join(filled)
    this.options.log.info({ topics: [...filled] }, 'filled from the log')
  }

  /** All topics together, from the checkpoint on. */
  async #follow(): Promise<void> {
    const { eventLog, route, untilCaughtUp } = this.options
    const { signal } = this.#reading
    if (signal.aborted) return
    const { position, event } = this.publication.checkpoint
    const prefixes = prefixesOf(route)
    const queue = this.#queue()
    await this.#copy(
      queue,
      async () => {
        const events = untilCaughtUp
          ? eventLog.readAll({ ...from(position), prefixes })
          : eventLog.subscribe({ ...from(position), afterId: event, prefixes, signal })
        for await (const event of events) {
          if (signal.aborted) return false
          await this.#put(queue, event)
        }
        return !signal.aborted
      },
      (batch) => this.publication.forward(batch),
    )
  }

  #queue(): EventQueue {
    const queue = new EventQueue(this.options.limits)
    this.#reading.signal.addEventListener('abort', () => queue.end())
    if (this.#reading.signal.aborted) queue.end()
    this.observer.queue(queue)
    return queue
  }

  async #put(queue: EventQueue, event: Parameters<typeof toQueued>[0]): Promise<void> {
    const { route, log, metrics } = this.options
    const queued = toQueued(event, route, (topic) => this.limits.get(topic)!)
    if (queued === 'too-large') {
      metrics?.leftOut()
      const { id, position } = event
      log.error({ id, position: String(position) }, 'the name of the stream is too large for Kafka: event left out')
    } else if (queued && !this.publication.has(queued.record, queued.position)) await queue.put(queued)
  }

  /**
   * Reads and publishes side by side. A reader that fails ends the queue; what it had read is published first, then its error
   * is told, unless the log is another one.
   * @returns what `read` returns: whether it came to its end.
   */
  async #copy(
    queue: EventQueue,
    read: () => Promise<boolean>,
    publish: (batch: Batch) => Promise<void>,
  ): Promise<boolean> {
    const feeding = read()
      .catch((error: unknown) => {
        if (error instanceof LogChanged) this.#give(error)
        throw error
      })
      .finally(() => queue.end())
    feeding.catch(() => undefined)
    await this.#publishFrom(queue, publish)
    return feeding
  }

  async #publishFrom(queue: EventQueue, publish: (batch: Batch) => Promise<void>): Promise<void> {
    const { metrics } = this.options
    let started = -Infinity
    let confirmedAt = performance.now()
    for (;;) {
      const restMs = Math.max(0, confirmedAt + refreshEveryMs - performance.now())
      const batch = await queue.take(restMs, ({ readAt }) => beginsAt(started, readAt))
      if (batch === undefined || this.#failure) return
      started = performance.now()
      if (started - confirmedAt >= refreshEveryMs) {
        await this.publication.confirm()
        confirmedAt = started
      }
      if (batch === 'idle') continue
      await inBatchSpan(batch, () => publish(batch))
      this.observer.published()
      metrics?.published(batch.records, (performance.now() - started) / 1_000)
      metrics?.position(this.publication.checkpoint.position)
    }
  }
}

const from = (position: bigint) => ({ after: position < 0n ? undefined : position })

/**
 * As the active relay: from the checkpoint on, until the end, a fault, or another relay.
 * @throws RelayRefusal; HandedOver; TopicMismatch; Fenced; any other: publishing failed, and can be taken up again.
 */
export async function lead(options: LeadOptions, wishes: Wishes, observer: LeadObserver): Promise<void> {
  const { publication, limits } = await takeOver(options, wishes)
  const { position } = publication.checkpoint
  options.metrics?.routed([...limits.keys()])
  options.metrics?.position(position)
  options.log.info({ after: String(position), route: options.route.name }, 'publishing')
  observer.compared()
  observer.leading()
  await new Lead(options, observer, publication, limits).run()
}
