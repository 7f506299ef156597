import { randomUUID } from 'node:crypto'
import {
  eventDefinitions,
  placeOf,
  toCloudEvent,
  type EventType,
  type NewEvent,
  type RecordedEvent,
} from '@annals/contracts'
import type { IncomingBatch, IncomingRecord } from '@annals/platform/kafka'

/** Nothing in these facts is sealed, so nothing needs to be opened. */
export const opensNothing = async () => {
  throw new Error('no key was expected to be asked for')
}

/** A fact as the log holds it, with an envelope of today's version. */
export function recorded<T extends EventType>(
  type: T,
  stream: string,
  revision: number,
  position: bigint,
  data: NewEvent<T>['data'],
  at = '2026-03-01T10:00:00.000Z',
): RecordedEvent {
  const id = randomUUID()
  return {
    id,
    type,
    stream,
    revision,
    position,
    data,
    metadata: {
      schemaVersion: eventDefinitions[type].version,
      tenant: 'main',
      commandId: id,
      correlationId: id,
      causationId: id,
      actor: { type: 'user', id: 'test' },
      occurredAt: at,
      source: 'test',
    },
  }
}

export interface PaymentFacts {
  paymentId: string
  userId: string
  stream: string
  amount: { minor: number; currency: 'EUR' | 'USD' }
}

export const aPayment = (facts: Partial<PaymentFacts> = {}): PaymentFacts => {
  const paymentId = facts.paymentId ?? randomUUID()
  return {
    userId: randomUUID(),
    amount: { minor: 1250, currency: 'EUR' },
    ...facts,
    paymentId,
    stream: `payment-${paymentId}`,
  }
}

/** The usual three facts of a payment, at positions `from`, `from + 1`, `from + 2`. */
export function paymentFacts({ paymentId, userId, stream, amount }: PaymentFacts, from: bigint): RecordedEvent[] {
  return [
    recorded('payment.created', stream, 0, from, {
      paymentId,
      userId,
      amount,
      method: { type: 'card', token: 'tok_visa' },
      description: null,
    }),
    recorded('payment.process_started', stream, 1, from + 1n, { paymentId, userId, attempt: 1, gatewayKey: 'key' }),
    recorded('payment.processed', stream, 2, from + 2n, {
      paymentId,
      userId,
      attempt: 1,
      amount,
      gatewayReference: 'ref',
    }),
  ]
}

/** What Kafka would deliver of this fact. @param bytesMax as of `toCloudEvent`: with 1 it is a reference. */
export function incomingRecord(event: RecordedEvent, offset: bigint, bytesMax?: number): IncomingRecord {
  const { key, value, headers, timestamp } = toCloudEvent(event, bytesMax)
  return {
    offset,
    key,
    value: value === null ? null : Buffer.from(value),
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
    timestamp: Number(timestamp),
  }
}

/** Kafka's id of the topics that batches of these tests come from. */
export const aTopicId = '00000000-0000-4000-8000-000000000001'

/** One batch for one partition, with consecutive offsets from `firstOffset`. */
export function batchOf(events: readonly RecordedEvent[], firstOffset: bigint, partition?: number): IncomingBatch {
  const place = placeOf(events[0]!.stream)!
  const records = events.map((event, i) => incomingRecord(event, firstOffset + BigInt(i)))
  const nextOffset = firstOffset + BigInt(records.length)
  return {
    topic: place.topic,
    topicId: aTopicId,
    partition: partition ?? place.partition,
    records,
    nextOffset,
    highWatermark: nextOffset,
  }
}

/** The same batch, with these of its records, by index, as references to the log. */
export function withReferences(batch: IncomingBatch, events: readonly RecordedEvent[], ...at: number[]): IncomingBatch {
  const records = batch.records.map((record, i) =>
    at.includes(i) ? incomingRecord(events[i]!, record.offset, 1) : record,
  )
  return { ...batch, records }
}

/** A payment whose stream travels on the wanted partition. */
export function paymentOn(partition: number, facts: Partial<PaymentFacts> = {}): PaymentFacts {
  for (;;) {
    const payment = aPayment(facts)
    if (placeOf(payment.stream)!.partition === partition) return payment
  }
}
