import { randomUUID } from 'node:crypto'
import { encodeEvent, type NewEvent, type RecordedEvent, type Seal } from '@annals/contracts'
import { createEventLog, type EventLog, type LogEvent } from '@annals/platform/event-log'
import { requireEnv, type TestScope } from '@annals/platform/testing'
import { silent } from './database'
import { aPayment, type PaymentFacts } from './facts'

export interface OwnLog {
  /** The real log, as if nobody else wrote to it: only streams of this test, from where the test began. */
  log: EventLog
  /**
   * Appends the facts of new payments: created, so many attempts (1), processed.
   * @param occurredAt when the facts say that they happened; default: now.
   * @returns them, and the events as the log holds them.
   */
  pay(
    count: number,
    attempts?: number,
    occurredAt?: string,
  ): Promise<{ payments: PaymentFacts[]; events: RecordedEvent[] }>
  append(stream: string, revision: number, event: NewEvent): Promise<void>
  /** An event whose data no release would write. */
  appendAsItIs(stream: string, revision: number, event: { type: string; data: unknown }): Promise<void>
  /** A payment whose description no release writes any more, since it can not be stored everywhere. @returns its stream. */
  payFormerly(description: string): Promise<string>
  /** Events of this test's streams, after a position. */
  events(after?: bigint): Promise<LogEvent[]>
}

const envelope = (occurredAt = new Date().toISOString()) => {
  const commandId = randomUUID()
  return {
    tenant: 'main',
    commandId,
    correlationId: commandId,
    causationId: commandId,
    actor: { type: 'system' as const, id: 'test' },
    occurredAt,
    source: 'test',
  }
}

const sealsNothing = () => {
  throw new Error('nothing was expected to be sealed')
}

/**
 * @param scope closes it.
 * @param seal for events with personal data; without one there are none.
 * @param url of a server of the test's own; default: the one that all tests share.
 */
export async function openOwnLog(
  scope: TestScope,
  seal: Seal = sealsNothing,
  url = requireEnv('EVENTSTORE_URL'),
): Promise<OwnLog> {
  const real = scope.add(createEventLog(url, silent), (it) => it.close())
  const began = await real.head()
  const own = new Set<string>()
  const later = (after: bigint | undefined) =>
    after === undefined || (began !== undefined && after < began) ? began : after

  const log: EventLog = {
    ...real,
    async *readAll({ after, ...options }) {
      for await (const event of real.readAll({ ...options, after: later(after) }))
        if (own.has(event.stream)) yield event
    },
  }

  async function append(stream: string, revision: number, events: NewEvent[], occurredAt?: string): Promise<void> {
    own.add(stream)
    const encoded = events.map((event) => encodeEvent(event, randomUUID(), envelope(occurredAt), seal))
    await real.append(stream, encoded, revision - 1)
  }

  function appendPayment(payment: PaymentFacts, attempts: number, occurredAt?: string): Promise<void> {
    const { paymentId, userId, stream, amount } = payment
    const started = (attempt: number): NewEvent => ({
      type: 'payment.process_started',
      data: { paymentId, userId, attempt, gatewayKey: 'key' },
    })
    const events: NewEvent[] = [
      {
        type: 'payment.created',
        data: { paymentId, userId, amount, method: { type: 'card', token: 'tok_visa' }, description: null },
      },
      ...Array.from({ length: attempts }, (_, i) => started(i + 1)),
      { type: 'payment.processed', data: { paymentId, userId, attempt: attempts, amount, gatewayReference: 'ref' } },
    ]
    return append(stream, 0, events, occurredAt)
  }

  async function events(after?: bigint): Promise<LogEvent[]> {
    const found: LogEvent[] = []
    for await (const event of log.readAll({ after })) found.push(event)
    return found
  }

  return {
    log,
    events,
    append: (stream, revision, event) => append(stream, revision, [event]),
    async appendAsItIs(stream, revision, event) {
      own.add(stream)
      const metadata = { ...envelope(), schemaVersion: 1 }
      await real.append(stream, [{ id: randomUUID(), metadata, ...event }], revision - 1)
    },
    async payFormerly(description) {
      const { paymentId, userId, stream, amount } = aPayment()
      const data = {
        paymentId,
        userId,
        amount,
        method: { type: 'card' as const, token: 'tok_visa' },
        description: null,
      }
      const encoded = encodeEvent({ type: 'payment.created', data }, randomUUID(), envelope(), sealsNothing)
      own.add(stream)
      await real.append(stream, [{ ...encoded, data: { ...encoded.data, description } }], -1)
      return stream
    },
    async pay(count, attempts = 1, occurredAt) {
      const before = await real.head()
      const payments = Array.from({ length: count }, () => aPayment())
      for (let i = 0; i < count; i += 32) {
        await Promise.all(payments.slice(i, i + 32).map((payment) => appendPayment(payment, attempts, occurredAt)))
      }
      const streams = new Set(payments.map(({ stream }) => stream))
      return { payments, events: (await events(before)).filter(({ stream }) => streams.has(stream)) }
    },
  }
}
