import { topicNames } from '@annals/contracts'
import type { Logger } from '@annals/platform/log'
import type { Registry } from '@annals/platform/metrics'
import type { PartitionedConsumer } from '@annals/platform/kafka'
import type { Pool } from '@annals/platform/postgres'
import type { KeyReader } from '@annals/platform/subject-keys'
import type { Channel } from './channels/channel'
import { createBreaker, standardBreakerPolicy, type BreakerPolicy, type BreakerState } from './delivery/breaker'
import { startCaretaker } from './delivery/caretaker'
import { smsRetrySchedule } from './delivery/schedule'
import type { DeliveryPolicy } from './delivery/settlement'
import { startWorker } from './delivery/worker'
import type { AdmissionPolicy } from './intake/admission'
import { createIntake } from './intake/intake'
import { createLedger } from './ledger/claims'
import { openDeliveries } from './ledger/stats'
import { createNotifierMetrics, measureOpenDeliveries, setBreaker } from './metrics'
import type { ChannelName, Rule } from './rules/rule'
import type { Templates } from './templates/templates'

export interface NotifierDeps {
  consumer: PartitionedConsumer
  pool: Pool
  keys: KeyReader
  /** Those that are configured. What a rule wants sent by another waits, and is seen in the metrics. */
  channels: readonly Channel[]
  rules: readonly Rule[]
  templates: Templates
  admission: AdmissionPolicy
  mailDomain: string
  /** Seconds between attempts to deliver a mail. */
  mailSchedule: readonly number[]
  concurrency: number
  attemptMsMax: number
  breakerPolicy?: BreakerPolicy
  registry: Registry
  log: Logger
}

export interface Notifier {
  breakers: ReadonlyMap<ChannelName, BreakerState>
  /** Resolves when the group has been joined. */
  joined: Promise<void>
  /** Reads no more and sends no more; attempts in hand are waited for. */
  stop(): Promise<void>
}

/**
 * Starts sending at once, and reading as soon as Kafka is there.
 * @throws Error when a rule names a template that is not there.
 */
export function startNotifier(deps: NotifierDeps): Notifier {
  const { consumer, pool, rules, channels, templates, admission, registry, log } = deps
  for (const { name, template } of rules)
    if (!templates.names.includes(template))
      throw new Error(`rule ${name} names the template ${template}, which is not there`)

  const metrics = createNotifierMetrics(registry)
  // There from the start: an alarm on growth does not see a series whose first value is 1.
  for (const topic of topicNames) metrics.parked.inc({ topic }, 0)
  const ledger = createLedger(pool)
  const policies: Record<ChannelName, DeliveryPolicy> = {
    // A repeated mail carries the same Message-ID: whoever receives both can tell, and many mailboxes show one.
    email: { schedule: deps.mailSchedule, repeatUnknown: true },
    sms: { schedule: smsRetrySchedule, repeatUnknown: false },
  }
  measureOpenDeliveries(registry, () => openDeliveries(pool))

  const breakers = new Map<ChannelName, BreakerState>()
  const workers = channels.map((channel) => {
    const onChange = (state: BreakerState) => {
      breakers.set(channel.name, state)
      setBreaker(metrics.breaker, channel.name, state)
      log.warn({ channel: channel.name, breaker: state }, 'circuit breaker')
    }
    breakers.set(channel.name, 'closed')
    setBreaker(metrics.breaker, channel.name, 'closed')
    const breaker = createBreaker(deps.breakerPolicy ?? standardBreakerPolicy, onChange)
    return startWorker({ ...deps, channel, breaker, ledger, metrics, policy: policies[channel.name] })
  })
  const onDue = () => workers.forEach((worker) => worker.wake())
  const stopCaretaker = startCaretaker({ ledger, policies, metrics, log, ageMsMax: admission.ageMsMax, onDue })

  return {
    breakers,
    joined: consumer.run(createIntake({ ...deps, metrics, onDue })),
    async stop() {
      // Side by side: each is bounded, and together they have to fit into the time that a process has to end.
      await Promise.all([consumer.stop(), stopCaretaker(), ...workers.map((worker) => worker.stop())])
    },
  }
}
