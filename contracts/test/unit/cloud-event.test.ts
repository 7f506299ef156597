import { describe, expect, it } from '@jest/globals'
import { fromCloudEvent, toCloudEvent, type RecordedEvent } from '@annals/contracts'

const event: RecordedEvent = {
  id: 'e1',
  type: 'payment.created',
  stream: 'payment-1',
  revision: 3,
  position: 9_007_199_254_740_993n,
  data: { text: 'Zoë → ✓' },
  metadata: { occurredAt: '2026-11-01T12:00:00.000Z', traceparent: '00-aa-bb-01', extra: [1, { deep: true }] },
}
const asRead = () => {
  const { value, headers } = toCloudEvent(event)
  return {
    value: Buffer.from(value),
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])) as Record<
      string,
      Buffer | undefined
    >,
  }
}

describe('CloudEvents', () => {
  it('come back as they went, position and metadata to the letter', () =>
    expect(fromCloudEvent(asRead())).toEqual({ ok: true, event }))

  it('carry the attributes that CloudEvents 1.0 requires', () =>
    expect(toCloudEvent(event).headers).toMatchObject({
      ce_specversion: '1.0',
      ce_id: 'e1',
      ce_source: '/annals/log',
      ce_type: 'payment.created',
      ce_traceparent: '00-aa-bb-01',
    }))

  it('are keyed by stream and stamped with the time of the fact', () =>
    expect(toCloudEvent(event)).toMatchObject({ key: 'payment-1', timestamp: '1793534400000' }))

  it.each(['ce_id', 'ce_type', 'ce_stream', 'ce_revision', 'ce_position', 'ce_metadata'])(
    'are refused without %s, and nothing is thrown',
    (name) => {
      const record = asRead()
      delete record.headers[name]
      expect(fromCloudEvent(record)).toMatchObject({ ok: false })
    },
  )

  it('are refused without a value or with a broken one', () => {
    expect(fromCloudEvent({ ...asRead(), value: null })).toMatchObject({ ok: false })
    expect(fromCloudEvent({ ...asRead(), value: Buffer.from('{') })).toMatchObject({ ok: false })
  })
})
