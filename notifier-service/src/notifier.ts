import { topicNames } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import { createHealer, healingOutcomes } from '@annals/platform/healing'
import type { Logger } from '@annals/platform/log'
import { comparesAtNewTopics } from '@annals/platform/log-watch'
import type { Registry } from '@annals/platform/metrics'
import type { CommittedOffset, PartitionedConsumer } from '@annals/platform/kafka'
import type { Pool } from '@annals/platform/postgres'
import type { KeyReader } from '@annals/platform/subject-keys'
import { createBreaker, standardBreakerPolicy, type BreakerPolicy } from './delivery/breaker'
import { startCaretaker } from './delivery/caretaker'
import { smsRetrySchedule } from './delivery/schedule'
import type { DeliveryPolicy } from './delivery/settlement'
import { startWorker, type Worker } from './delivery/worker'
import type { AdmissionPolicy } from './intake/admission'
import { catchUp } from './intake/catch-up'
import { createIntake } from './intake/intake'
import { eventTypesOf, knownTypes, type EventTypes } from './intake/read-record'
import { createDeliveries } from './deliveries/claims'
import { openDeliveries } from './deliveries/stats'
import { createNotifierMetrics, measureOpenDeliveries, measureState, setBreaker } from './metrics'
import type { Rule } from './rules/rule'
import { watchDeliveries } from './set-back/deliveries-watch'
import { watchLog } from './set-back/log-watch'
import type { Templates } from './templates/templates'
import type { BreakerState, Channel, ChannelName } from './vocabulary'

export interface NotifierDeps {
  consumer: PartitionedConsumer
  /** What the consumer's group has committed to Kafka: witnesses of how far the deliveries had come. */
  committed: () => Promise<readonly CommittedOffset[]>
  /** Has what Kafka did not bring. */
  eventLog: Pick<EventLog, 'readStream' | 'identity' | 'eventAt'>
  pool: Pool
  keys: KeyReader
  /** Those that are configured. What a rule wants sent by another waits, and is seen in the metrics. */
  channels: readonly Channel[]
  rules: readonly Rule[]
  /** Event types that this release can read; default: all of its contracts. */
  types?: ReadonlySet<string>
  templates: Templates
  /** What links in messages begin with. */
  publicUrl: string
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

const catchUpEveryMs = 30_000

/**
 * Starts sending as soon as the deliveries were compared with what Kafka knows of them, and reading when the log was compared too, or
 * after some seconds in which it did not answer.
 * @throws Error when a rule names a template that is not there.
 */
export function startNotifier(deps: NotifierDeps): Notifier {
  const { consumer, pool, eventLog, rules, channels, templates, admission, registry, log } = deps
  for (const { name, template } of rules)
    if (!templates.names.includes(template))
      throw new Error(`rule ${name} names the template ${template}, which is not there`)

  const metrics = createNotifierMetrics(registry)
  // There from the start: an alarm on growth does not see a series whose first value is 1.
  for (const topic of topicNames) metrics.parked.inc({ topic }, 0)
  for (const outcome of healingOutcomes) metrics.holes.inc({ outcome }, 0)
  const deliveriesWatch = watchDeliveries({ pool, committed: deps.committed, log })
  const logWatch = watchLog({ pool, eventLog, log })
  const logCompared = logWatch.start()
  const deliveries = createDeliveries(pool, deliveriesWatch)
  const policies: Record<ChannelName, DeliveryPolicy> = {
    // A repeated mail carries the same Message-ID: whoever receives both can tell, and many mailboxes show one.
    email: { schedule: deps.mailSchedule, repeatUnknown: true },
    sms: { schedule: smsRetrySchedule, repeatUnknown: false },
  }
  measureOpenDeliveries(registry, () => openDeliveries(pool))
  measureState(registry, pool)

  const breakers = new Map<ChannelName, BreakerState>()
  const ending = new AbortController()
  let workers: Worker[] = []
  let stopCaretaker = async (): Promise<void> => undefined
  const onDue = () => workers.forEach((worker) => worker.wake())
  const workerOf = (channel: Channel): Worker => {
    const onChange = (state: BreakerState) => {
      breakers.set(channel.name, state)
      setBreaker(metrics.breaker, channel.name, state)
      log.warn({ channel: channel.name, breaker: state }, 'circuit breaker')
    }
    const breaker = createBreaker(deps.breakerPolicy ?? standardBreakerPolicy, onChange)
    return startWorker({ ...deps, channel, breaker, deliveries, metrics, policy: policies[channel.name] })
  }
  for (const { name } of channels) {
    breakers.set(name, 'closed')
    setBreaker(metrics.breaker, name, 'closed')
  }
  const sendWhenCompared = async () => {
    await deliveriesWatch.compared
    if (ending.signal.aborted) return
    workers = channels.map(workerOf)
    stopCaretaker = startCaretaker({ deliveries, policies, metrics, log, ageMsMax: admission.ageMsMax, onDue })
  }
  void sendWhenCompared()

  const eventTypes: EventTypes = { known: deps.types ?? knownTypes, wanted: eventTypesOf(rules) }
  const healer = createHealer({
    eventLog,
    log,
    onOutcome: (outcome, events) => {
      metrics.holes.inc({ outcome })
      metrics.healedEvents.inc(events)
    },
  })
  const beforeReading = async () => {
    await logCompared
    await deliveriesWatch.compare()
  }
  const catchingUp = (async () => {
    while (!ending.signal.aborted) {
      try {
        const events = await catchUp({ ...deps, eventTypes, metrics, onDue })
        if (events > 0) log.warn({ events }, 'read events that an earlier release had set aside')
        metrics.caughtUp.inc(events)
      } catch (error) {
        log.warn({ err: error }, 'events that were set aside could not be read')
      }
      await pause(catchUpEveryMs, ending.signal)
    }
  })()

  const intake = createIntake({ ...deps, eventTypes, healer, metrics, onDue, beforeReading })
  const compareAtNewTopics = comparesAtNewTopics(logWatch)

  return {
    breakers,
    joined: consumer.run({
      ...intake,
      async handle(batch) {
        await compareAtNewTopics(batch)
        return intake.handle(batch)
      },
    }),
    async stop() {
      ending.abort()
      // Side by side: each is bounded, and together they have to fit into the time that a process has to end.
      await Promise.all([
        consumer.stop(),
        stopCaretaker(),
        deliveriesWatch.stop(),
        logWatch.stop(),
        catchingUp,
        ...workers.map((worker) => worker.stop()),
      ])
    },
  }
}
