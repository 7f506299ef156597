import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs, pause } from '@annals/platform/backoff'
import type { Logger } from '@annals/platform/log'
import type { KeyReader } from '@annals/platform/subject-keys'
import { currentTraceparent, inSpan, SpanKind } from '@annals/platform/tracing'
import type { Claim, Deliveries } from '../deliveries/claims'
import type { NotifierMetrics } from '../metrics'
import type { Templates } from '../templates/templates'
import type { Channel, OutgoingMessage, Outcome } from '../vocabulary'
import type { Breaker } from './breaker'
import { compose, type Composed } from './compose'
import { settlementOf, type DeliveryPolicy } from './settlement'

export interface WorkerDeps {
  channel: Channel
  breaker: Breaker
  policy: DeliveryPolicy
  deliveries: Deliveries
  keys: KeyReader
  templates: Templates
  metrics: NotifierMetrics
  log: Logger
  /** Attempts at the same time, at most. */
  concurrency: number
  /** An attempt without an outcome by then is ended as it stands. */
  attemptMsMax: number
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
export const leaseMs = 10_000
const renewEveryMs = 3_000
/** Looks for what others have made due; what this process made due wakes the worker itself. */
const lookEveryMs = 1_000
const faultBackoff = { firstMs: 200, maxMs: 10_000 }
/** A restart or a failover of the database. After that the attempt stays unknown, which is then the truth. */
const insistMsMax = 60_000
const insistBackoff = { firstMs: 100, maxMs: 1_000 }

/** Sends one channel's due deliveries, several at a time, until it is stopped. */
export function startWorker(deps: WorkerDeps): Worker {
  const { channel, breaker, policy, deliveries, keys, templates, metrics, log, concurrency, attemptMsMax } = deps
  const name = `${process.pid}-${randomUUID().slice(0, 8)}`
  const inHand = new Map<Claim, Promise<void>>()
  const ending = new AbortController()
  let nudge = new AbortController()
  const wake = () => nudge.abort()

  /** Ends after the time, or at a wake; a wake that came while nobody waited counts. */
  async function idle(ms: number): Promise<void> {
    await pause(ms, nudge.signal)
    nudge = new AbortController()
  }

  async function attempt(claim: Claim, message: Omit<OutgoingMessage, 'traceparent'>): Promise<void> {
    const began = performance.now()
    const outcome = await inSpan(
      {
        name: `send ${channel.name}`,
        kind: SpanKind.PRODUCER,
        traceparent: claim.traceparent ?? undefined,
        attributes: { 'annals.delivery.id': claim.id, 'annals.rule': claim.rule, 'annals.attempt': claim.attempt },
      },
      async (span) => {
        const traceparent = currentTraceparent() ?? claim.traceparent ?? undefined
        const send = () => channel.send({ ...message, traceparent }, AbortSignal.timeout(attemptMsMax))
        const result = await breaker.execute(send)
        span.setAttribute('annals.outcome', result?.kind ?? 'not-attempted')
        return result
      },
    )
    if (!outcome) return deliveries.withdraw(claim)
    metrics.attemptSeconds.observe({ channel: channel.name, outcome: outcome.kind }, (performance.now() - began) / 1000)
    await settle(claim, outcome)
  }

  async function settle(claim: Claim, outcome: Outcome): Promise<void> {
    const settlement = settlementOf(policy, claim, outcome, Math.random())
    await insisting(() => deliveries.settle(claim, outcome, settlement))
    metrics.settled.inc({ channel: channel.name, state: settlement.state })
    const { id: deliveryId, attempt, rule, correlationId } = claim
    const level = outcome.kind === 'accepted' ? 'info' : 'warn'
    log[level](
      {
        deliveryId,
        rule,
        channel: channel.name,
        attempt,
        correlationId,
        outcome: outcome.kind,
        code: outcome.code,
        state: settlement.state,
      },
      'attempt ended',
    )
  }

  /**
   * What was sent has to be recorded, so a database that is away is asked again. When it comes back after the lease has run
   * out, an acceptance is still taken as proof, if only it comes before the repeat: hence a short wait between the questions.
   */
  async function insisting(write: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + insistMsMax
    for (let attempt = 1; ; attempt++) {
      try {
        return await write()
      } catch (error) {
        if (performance.now() > deadline) throw error
        await delay(backoffMs(insistBackoff, attempt, Math.random()))
      }
    }
  }

  async function deliver(claim: Claim, composed: Composed): Promise<void> {
    if (composed.kind === 'message') return attempt(claim, composed.message)
    if (composed.kind === 'put-off') {
      log.error(
        { err: composed.cause, deliveryId: claim.id, rule: claim.rule, reason: composed.reason },
        'mail can not be written',
      )
      return settle(claim, { kind: 'transient', code: composed.reason, about: 'message' })
    }
    log.info({ deliveryId: claim.id, rule: claim.rule, state: composed.kind, reason: composed.reason }, 'not sent')
    await deliveries.withdraw(claim, { state: composed.kind, reason: composed.reason })
    metrics.settled.inc({ channel: channel.name, state: composed.kind })
  }

  async function take(): Promise<number> {
    const limit = Math.min(concurrency - inHand.size, breaker.permits())
    if (limit <= 0) return 0
    const claims = await deliveries.claim(channel.name, limit, leaseMs, name)
    if (claims.length === 0) return 0
    const composing = compose(claims, keys, templates)
    for (const [i, claim] of claims.entries()) {
      const work = composing.then(
        (composed) => deliver(claim, composed[i]!),
        () => deliveries.withdraw(claim),
      )
      hold(claim, work)
    }
    await composing
    return claims.length
  }

  /** From here on the claim is renewed, until its work has ended. */
  function hold(claim: Claim, work: Promise<void>): void {
    const ended = work
      .catch((error: unknown) => log.error({ err: error, deliveryId: claim.id }, 'not recorded; its lease runs out'))
      .finally(() => {
        inHand.delete(claim)
        wake()
      })
    inHand.set(claim, ended)
  }

  async function run(): Promise<void> {
    for (let faults = 0; !ending.signal.aborted;) {
      try {
        const taken = await take()
        faults = 0
        if (taken === 0) await idle(lookEveryMs)
      } catch (error) {
        const waitMs = backoffMs(faultBackoff, ++faults, Math.random())
        log.warn({ err: error, channel: channel.name, waitMs }, 'no deliveries can be taken, trying again')
        await pause(waitMs, ending.signal)
      }
    }
  }

  const renewal = setInterval(() => {
    deliveries
      .renew([...inHand.keys()], leaseMs)
      .catch((error: unknown) => log.warn({ err: error }, 'leases could not be renewed'))
  }, renewEveryMs)
  const running = run()

  return {
    wake,
    async stop() {
      ending.abort()
      wake()
      await running
      await Promise.allSettled(inHand.values())
      clearInterval(renewal)
    },
  }
}
