import type { Consumer, ConsumerCrashEvent } from 'kafkajs'
import type { Logger } from '../log'
import { pause } from '../backoff'
import type { createBatches, PassedBatch } from './batches'
import { repeatedEveryMs } from './client'
import { createRepetitionLimit } from './repeated-lines'

/** Between looks for topics that are not there yet. */
const topicsRetryMs = 1_000
/** A broker that is gone must not hold up the end of the process. */
const stopMsMax = 10_000

/**
 * What kafkajs calls final, and is not: a cluster that starts, or whose nodes are frozen, has no coordinator for a while; locks
 * within the library are waited for in vain; and the membership was given up over a batch that took too long.
 */
const notFinal = new Set(['KafkaJSGroupCoordinatorNotFound', 'KafkaJSLockTimeout', 'KafkaJSTimeout', 'Overdue'])
/** Before the group is joined anew after such an end. */
const rejoinAfterMs = 1_000

const comesBack = (error: Error & { cause?: unknown }): boolean =>
  notFinal.has(error.name) || (error.cause instanceof Error && error.cause !== error && comesBack(error.cause))

export interface MembershipOptions {
  topics: readonly string[]
  /** Partitions handled at the same time, at most. */
  concurrency: number
  log: Logger
  /** The consumer has ended by itself and will not come back. */
  onFatal: (error: Error) => void
  signal: AbortSignal
}

/** A consumer as a member of its group: it joins, and joins again whenever it fell out. */
export class Membership {
  /** When a broker answered last, epoch ms. */
  heardAt = Date.now()
  hasJoined = false
  #isConnected = false

  constructor(
    private readonly consumer: Consumer,
    private readonly options: MembershipOptions,
  ) {}

  /**
   * Joins and reads.
   * @param onJoin told of the partitions that are held, before any of them is fetched.
   * @returns when it has joined once, or the signal was given. @throws Error when the consumer ends for good before that.
   */
  async join(
    { each, passed }: ReturnType<typeof createBatches>,
    onJoin: (assignment: Record<string, number[]>) => void,
  ): Promise<void> {
    const { GROUP_JOIN, CRASH, END_BATCH_PROCESS, FETCH, HEARTBEAT } = this.consumer.events
    // Fetches end four times a second; while every partition waits, or none is held, there are heartbeats.
    for (const answer of [FETCH, HEARTBEAT] as const) this.consumer.on(answer, () => void (this.heardAt = Date.now()))
    this.consumer.on(END_BATCH_PROCESS, ({ payload }) => passed(payload as PassedBatch))
    const joined = new Promise<void>((resolve, reject) => {
      this.consumer.on(GROUP_JOIN, ({ payload }) => {
        onJoin(payload.memberAssignment)
        this.hasJoined = true
        this.heardAt = Date.now()
        resolve()
      })
      this.consumer.on(CRASH, this.#onCrash(each, reject))
      this.options.signal.addEventListener('abort', () => resolve())
    })
    joined.catch(() => undefined)
    await this.#subscribe()
    await this.#start(each)
    await joined
  }

  /** Connects and subscribes as soon as there is a cluster with these topics. */
  async #subscribe(): Promise<void> {
    const { topics, log, signal } = this.options
    for (let said = false; !signal.aborted;) {
      try {
        await this.consumer.connect()
        this.#isConnected = true
        return await this.consumer.subscribe({ topics: [...topics], fromBeginning: true })
      } catch (error) {
        if (!said) log.warn({ err: error, topics }, 'waiting for Kafka and its topics')
        said = true
        await pause(topicsRetryMs, signal)
      }
    }
  }

  async #start(each: ReturnType<typeof createBatches>['each']): Promise<void> {
    if (this.options.signal.aborted) return
    await this.consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: this.options.concurrency,
      eachBatch: each,
    })
  }

  /** kafkajs joins again by itself after most ends; after some that it calls final, we do. */
  #onCrash(each: ReturnType<typeof createBatches>['each'], reject: (error: Error) => void) {
    const { log, signal, onFatal } = this.options
    const crashes = createRepetitionLimit(repeatedEveryMs)
    const fatal = (error: Error) => {
      log.fatal({ err: error }, 'consumer ended for good')
      reject(error)
      onFatal(error)
    }
    return ({ payload }: ConsumerCrashEvent): void => {
      if (payload.restart) {
        const keptBack = crashes(payload.error.message)
        if (keptBack !== undefined)
          log.warn({ err: payload.error, keptBack }, 'consumer fell out of the group, joining again')
        return
      }
      if (!comesBack(payload.error)) return fatal(payload.error)
      log.warn({ err: payload.error, waitMs: rejoinAfterMs }, 'the membership has ended, joining again')
      void pause(rejoinAfterMs, signal)
        .then(() => this.#start(each))
        .catch(fatal)
    }
  }

  /** Leaves the group, as far as a broker answers in time. */
  async leave(): Promise<void> {
    if (!this.#isConnected) return
    const late = new AbortController()
    await Promise.race([
      this.consumer
        .disconnect()
        .catch((error: unknown) => this.options.log.warn({ err: error }, 'could not leave the group in order')),
      pause(stopMsMax, late.signal),
    ])
    late.abort()
  }
}
