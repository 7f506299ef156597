import { randomUUID } from 'node:crypto'
import { backoffMs, pause } from '@annals/platform/backoff'
import type { KeyReader } from '@annals/platform/subject-keys'
import type { Claim } from '../deliveries/claims'
import type { Templates } from '../templates/templates'
import { deliver, type AttemptDeps } from './attempt'
import { compose } from './compose'

export interface WorkerDeps extends AttemptDeps {
  keys: KeyReader
  templates: Templates
  /** What links in messages begin with. */
  publicUrl: string
  /** Attempts at the same time, at most. */
  concurrency: number
}

export interface Worker {
  /** Something has become due: look now rather than at the next turn. */
  wake(): void
  /** Takes no more, and waits for the attempts in hand; they are bounded by `attemptMsMax`. */
  stop(): Promise<void>
}

/**
 * A worker that has not renewed its claims for this long counts as gone. Long enough for a pause of garbage collection or of
 * the database, short enough that a crash delays a mail by seconds.
 */
const leaseMs = 10_000
const renewEveryMs = 3_000
/** Looks for what others have made due; what this process made due wakes the worker itself. */
const lookEveryMs = 1_000
const faultBackoff = { firstMs: 200, maxMs: 10_000 }
/** Sends one channel's due deliveries, several at a time, until it is stopped. */
export function startWorker(deps: WorkerDeps): Worker {
  const worker = new RunningWorker(deps)
  return { wake: () => worker.wake(), stop: () => worker.stop() }
}

class RunningWorker {
  readonly #name = `${process.pid}-${randomUUID().slice(0, 8)}`
  /** Claims that are being worked on, and are renewed meanwhile. */
  readonly #inHand = new Map<Claim, Promise<void>>()
  readonly #ending = new AbortController()
  #nudge = new AbortController()
  readonly #renewal: NodeJS.Timeout
  readonly #running: Promise<void>

  constructor(private readonly deps: WorkerDeps) {
    this.#renewal = setInterval(() => this.#renew(), renewEveryMs)
    this.#running = this.#run()
  }

  wake(): void {
    this.#nudge.abort()
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    this.wake()
    await this.#running
    await Promise.allSettled(this.#inHand.values())
    clearInterval(this.#renewal)
  }

  async #run(): Promise<void> {
    const { channel, log } = this.deps
    for (let faults = 0; !this.#ending.signal.aborted;) {
      try {
        const taken = await this.#take()
        faults = 0
        if (taken === 0) await this.#idle(lookEveryMs)
      } catch (error) {
        const waitMs = backoffMs(faultBackoff, ++faults, Math.random())
        log.warn({ err: error, channel: channel.name, waitMs }, 'no deliveries can be taken, trying again')
        await pause(waitMs, this.#ending.signal)
      }
    }
  }

  /** @returns how many were claimed. */
  async #take(): Promise<number> {
    const { channel, breaker, deliveries, keys, concurrency } = this.deps
    const limit = Math.min(concurrency - this.#inHand.size, breaker.permits())
    if (limit <= 0) return 0
    const claims = await deliveries.claim(channel.name, limit, leaseMs, this.#name)
    if (claims.length === 0) return 0
    const composing = compose(claims, keys, this.deps)
    for (const [i, claim] of claims.entries()) {
      const work = composing.then(
        (composed) => deliver(this.deps, claim, composed[i]!),
        () => deliveries.withdraw(claim),
      )
      this.#hold(claim, work)
    }
    await composing
    return claims.length
  }

  /** From here on the claim is renewed, until its work has ended. */
  #hold(claim: Claim, work: Promise<void>): void {
    const ended = work
      .catch((error: unknown) =>
        this.deps.log.error({ err: error, deliveryId: claim.id }, 'not recorded; its lease will expire'),
      )
      .finally(() => {
        this.#inHand.delete(claim)
        this.wake()
      })
    this.#inHand.set(claim, ended)
  }

  #renew(): void {
    this.deps.deliveries
      .renew([...this.#inHand.keys()], leaseMs)
      .catch((error: unknown) => this.deps.log.warn({ err: error }, 'leases could not be renewed'))
  }

  /** Ends after the time, or at a wake; a wake that came while nobody waited counts. */
  async #idle(ms: number): Promise<void> {
    await pause(ms, this.#nudge.signal)
    this.#nudge = new AbortController()
  }
}
