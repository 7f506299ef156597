import { backoffMs, pause } from '@annals/platform/backoff'
import { Fenced, TopicMismatch } from '@annals/platform/kafka'
import { noWishes, type Wishes } from './assess'
import { batchLimits, type BatchLimits, type EventQueue } from './event-queue'
import { lead, lookTwice, type LeadOptions } from './lead'
import { HandedOver, RelayRefusal } from './refusals'
import type { Role } from './relay-metrics'
import { prefixesOf } from './route'
import { longerPatienceMs, patience, standBy } from './standby'

export interface RelayOptions extends Omit<LeadOptions, 'limits' | 'compareEveryMs' | 'replicationFactor'> {
  /** Default 1. */
  replicationFactor?: number
  limits?: BatchLimits
  /** Default 15 s. */
  compareEveryMs?: number
  /** What an operator says to a refusal. With any of it a refusal ends the relay; without, it waits to be told. */
  wishes?: Wishes | undefined
  /** How long the checkpoint may stand still before a standby takes over, while all goes well. Default 2,500 ms. */
  patienceMs?: number
  /** How often a relay that refuses looks whether there still is a reason to; one that stands by, every third time. Default 10 s. */
  lookEveryMs?: number
}

export interface Relay {
  /**
   * Resolves when the relay has ended: by the signal, caught up, or because another one goes on with its work for good.
   * @throws RelayRefusal, where an operator's word was asked for and does not do; TopicMismatch
   */
  ended: Promise<void>
  role(): Role
  /** Throws until a transaction has worked, while one after the other fails, and while the relay refuses to publish. */
  ready(): Promise<void>
}

/** After a failed transaction; a broker that restarts is away for some seconds. */
const retryBackoff = { firstMs: 100, maxMs: 5_000 }
const compareEveryMs = 15_000
/** A lead that could not hold log and topics against the checkpoint for so long does not know any more whether they are the same. */
const comparedWithinMs = 90_000
const lookEveryMs = 10_000
/** The active relay looks as well. */
const standbyLooksSeldomer = 3
/** The words of a refusal are said again after this, for who reads the end of a log only. */
const sayAgainMs = 10 * 60 * 1_000

/**
 * Copies what the log holds of the route's streams to Kafka: every event once, in log order, so in order per stream. Events
 * and position are one transaction; a second relay under the same name fences this one, which then stands by.
 */
export function runRelay(options: RelayOptions): Relay {
  const relay = new RunningRelay({
    compareEveryMs,
    limits: batchLimits,
    replicationFactor: 1,
    lookEveryMs,
    patienceMs: patience.firstMs,
    ...options,
  })
  return {
    ended: relay.run().finally(() => options.publisher.close()),
    role: () => relay.role,
    ready: async () => relay.assertReady(),
  }
}

type Settings = LeadOptions & Required<Pick<RelayOptions, 'lookEveryMs' | 'patienceMs'>> & Pick<RelayOptions, 'wishes'>

class RunningRelay {
  role: Role = 'starting'
  #isWorking = false
  #refusal: RelayRefusal | undefined
  #comparedAt = 0
  #queue: EventQueue | undefined
  #wishes: Wishes | undefined
  /** The operator's word has been acted on. */
  #hasBegun = false
  #failures = 0
  /** In the present lead. */
  #publishedAny = false
  #patienceMs: number
  #afterStall = false

  constructor(private readonly settings: Settings) {
    const { metrics, signal, publisher, eventLog } = settings
    this.#wishes = settings.wishes
    this.#patienceMs = settings.patienceMs
    // Nothing is in hand while the cluster is still being asked for the transactional id: do not wait for its answer.
    signal.addEventListener('abort', () => this.role === 'starting' && void publisher.close())
    metrics?.role(this.role)
    metrics?.head(() => eventLog.head())
    metrics?.lag(() => {
      const oldest = this.#queue?.oldest
      return oldest ? Math.max(0, Date.now() - oldest.createdAt) / 1_000 : 0
    })
  }

  assertReady(): void {
    if (this.#refusal) throw this.#refusal
    if (!this.#isWorking) throw new Error(`relay is ${this.role}`)
    if (this.role === 'leader' && performance.now() - this.#comparedAt > comparedWithinMs)
      throw new Error('log and topics could not be compared with the checkpoint for a while')
  }

  async run(): Promise<void> {
    const { signal, untilCaughtUp, log } = this.settings
    while (!signal.aborted) {
      const began = Date.now()
      try {
        await this.#lead()
        if (untilCaughtUp || signal.aborted) return
      } catch (error) {
        if (error instanceof TopicMismatch) throw error
        if (error instanceof HandedOver) return log.info({ reason: error.message }, 'nothing is left to do here')
        if (error instanceof RelayRefusal) await this.#refuse(error)
        else if (!(error instanceof Fenced)) await this.#retry(error, began)
        else if (untilCaughtUp && this.#hasBegun) return log.info('another relay goes on with it')
        else if (await this.#standBy()) return
      }
    }
  }

  #become(next: Role): void {
    if (this.role !== next) this.settings.log.info({ role: next }, `relay is ${next}`)
    this.role = next
    this.settings.metrics?.role(next)
  }

  async #lead(): Promise<void> {
    this.#publishedAny = false
    await lead(this.settings, this.#wishes ?? noWishes, {
      leading: () => {
        this.#become('leader')
        this.#isWorking = true
        this.#hasBegun ||= this.#wishes !== undefined
        // Said once, of what was there then.
        this.#wishes = undefined
      },
      compared: () => (this.#comparedAt = performance.now()),
      published: () => (this.#publishedAny = true),
      queue: (queue) => (this.#queue = queue),
    })
  }

  /** Says why, and waits until there is no reason any more: an operator has made the log or the topics right, or another relay. */
  async #refuse(refusal: RelayRefusal): Promise<void> {
    const { log, metrics, signal, untilCaughtUp } = this.settings
    if (untilCaughtUp || this.#wishes) throw refusal
    this.#isWorking = false
    this.#become('refused')
    metrics?.refused(true)
    let reason: RelayRefusal | undefined = refusal
    for (let saidAt = -sayAgainMs; reason && !signal.aborted; reason = await this.#reasonLeft()) {
      if (reason.message !== this.#refusal?.message || performance.now() - saidAt >= sayAgainMs) {
        log.error({ err: reason }, `the relay refuses to publish: ${reason.message}`)
        saidAt = performance.now()
      }
      this.#refusal = reason
      await pause(this.settings.lookEveryMs, signal)
    }
    this.#refusal = undefined
    this.#become('starting')
    metrics?.refused(false)
  }

  async #reasonLeft(): Promise<RelayRefusal | undefined> {
    try {
      await lookTwice(this.settings, noWishes)
    } catch (error) {
      if (error instanceof RelayRefusal) return error
      // A server that does not answer now says nothing for the one or the other.
      if (!(error instanceof HandedOver)) return this.#refusal
    }
    return undefined
  }

  async #retry(error: unknown, began: number): Promise<void> {
    const { log, metrics, signal } = this.settings
    this.#isWorking = false
    metrics?.failed()
    this.#become('starting')
    // A fault after a while of work is a new fault.
    this.#failures = Date.now() - began > retryBackoff.maxMs ? 1 : this.#failures + 1
    const waitMs = backoffMs(retryBackoff, this.#failures, Math.random())
    log.warn({ err: error, waitMs }, 'publishing failed, taking over again from the checkpoint')
    await pause(waitMs, signal)
  }

  /** @returns true when there is nothing left to do. */
  async #standBy(): Promise<boolean> {
    const { metrics, signal, patienceMs: patienceMsMin, route } = this.settings
    metrics?.fenced()
    this.#isWorking = true
    this.#become('standby')
    // There was something to publish, and it did not get as far: neither did the other one, it may be the cluster.
    if (this.#publishedAny) this.#patienceMs = patienceMsMin
    else if (this.#afterStall) this.#patienceMs = longerPatienceMs(this.#patienceMs)
    const standing = new AbortController()
    const stop = () => standing.abort()
    signal.addEventListener('abort', stop)
    let found: RelayRefusal | HandedOver | undefined
    void this.#watchStandingBy(standing, (reason) => (found = reason))
    try {
      this.#patienceMs = await standBy({
        ...this.settings,
        prefixes: prefixesOf(route),
        signal: standing.signal,
        patienceMs: this.#patienceMs,
        patienceMsMin,
      })
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
    }
    this.#afterStall = true
    if (found instanceof RelayRefusal && !signal.aborted) await this.#refuse(found)
    return found instanceof HandedOver
  }

  /** A log that went back gives nothing to take over for: it is looked at beside. */
  async #watchStandingBy(standing: AbortController, tell: (found: RelayRefusal | HandedOver) => void): Promise<void> {
    for (;;) {
      await pause(standbyLooksSeldomer * this.settings.lookEveryMs, standing.signal)
      if (standing.signal.aborted) return
      try {
        await lookTwice({ ...this.settings, signal: standing.signal }, noWishes)
      } catch (error) {
        if (standing.signal.aborted) return
        if (!(error instanceof RelayRefusal || error instanceof HandedOver)) continue
        tell(error)
        return standing.abort()
      }
    }
  }
}
