import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '@annals/platform/backoff'
import type { Logger } from '@annals/platform/log'
import { currentTraceparent, inSpan, SpanKind } from '@annals/platform/tracing'
import type { Claim, Deliveries } from '../deliveries/claims'
import type { NotifierMetrics } from '../metrics'
import type { Channel, OutgoingMessage, Outcome } from '../vocabulary'
import type { Breaker } from './breaker'
import type { Composed } from './compose'
import { settlementOf, type DeliveryPolicy } from './settlement'

export interface AttemptDeps {
  channel: Channel
  breaker: Breaker
  policy: DeliveryPolicy
  deliveries: Deliveries
  metrics: NotifierMetrics
  log: Logger
  /** An attempt without an outcome by then is ended as it stands. */
  attemptMsMax: number
}

/** A restart or a failover of the database. After that the attempt stays unknown, which is then the truth. */
const insistMsMax = 60_000
const insistBackoff = { firstMs: 100, maxMs: 1_000 }

/** Sends a claim's message, or ends or puts off what can not be sent, and records what became of it. */
export async function deliver(deps: AttemptDeps, claim: Claim, composed: Composed): Promise<void> {
  const { channel, deliveries, metrics, log } = deps
  if (composed.kind === 'message') return attempt(deps, claim, composed.message)
  if (composed.kind === 'put-off') {
    log.error(
      { err: composed.cause, deliveryId: claim.id, rule: claim.rule, reason: composed.reason },
      'mail can not be written',
    )
    return settle(deps, claim, { kind: 'transient', code: composed.reason, about: 'message' })
  }
  log.info({ deliveryId: claim.id, rule: claim.rule, state: composed.kind, reason: composed.reason }, 'not sent')
  await deliveries.withdraw(claim, { state: composed.kind, reason: composed.reason })
  metrics.settled.inc({ channel: channel.name, state: composed.kind })
}

async function attempt(deps: AttemptDeps, claim: Claim, message: Omit<OutgoingMessage, 'traceparent'>): Promise<void> {
  const { channel, breaker, deliveries, metrics, attemptMsMax } = deps
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
  await settle(deps, claim, outcome)
}

async function settle(deps: AttemptDeps, claim: Claim, outcome: Outcome): Promise<void> {
  const { channel, policy, deliveries, metrics, log } = deps
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
