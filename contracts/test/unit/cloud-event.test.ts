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
    value: Buffer.from(value!),
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

  it.each<[string, unknown, string]>([
    ['none at all', undefined, '0'],
    ['null', null, '0'],
    ['a time that is a number', { occurredAt: 5 }, '0'],
    ['a time that is no time', { occurredAt: 'yesterday' }, '0'],
    ['a megabyte for a time', { occurredAt: `2026-11-01 (${'x'.repeat(1_000_000)})` }, '0'],
    ['the year 0000', { occurredAt: '0000-01-01T00:00:00.000Z' }, '0'],
    ['a time before 1970', { occurredAt: '1969-12-31T23:59:59.999Z' }, '0'],
    ['a year of six digits', { occurredAt: '+275760-09-13T00:00:00.000Z' }, '0'],
    ['the year 9999', { occurredAt: '9999-12-31T23:59:59.999Z' }, '253402300799999'],
    ['a trace that is a number', { traceparent: 5 }, '0'],
    ['a trace without end', { traceparent: 'x'.repeat(100_000) }, '0'],
    ['a text', 'metadata', '0'],
    ['a number', 7, '0'],
    ['a list', [1, null], '0'],
    ['names of Object', JSON.parse('{"__proto__":{"occurredAt":"x"},"constructor":1}'), '0'],
    ['a broken surrogate', { note: '\ud83d' }, '0'],
  ])('take metadata as they are: %s', (_, metadata, timestamp) => {
    const record = toCloudEvent({ ...event, metadata })
    expect(record.timestamp).toBe(timestamp)
    for (const text of Object.values(record.headers)) expect(typeof text).toBe('string')
    expect(JSON.stringify({ ...record.headers, ce_metadata: '' }).length).toBeLessThan(1_000)
    expect(fromCloudEvent(record)).toEqual({ ok: true, event: { ...event, metadata: metadata ?? null } })
  })

  const reference = { kind: 'reference', id: 'e1', type: 'payment.created', stream: 'payment-1', revision: 3 }
  it.each([
    ['data that are bytes', { ...event, data: Uint8Array.of(1, 2) }, undefined],
    ['metadata that are bytes', { ...event, metadata: Buffer.from('x') }, undefined],
    ['a number that JSON does not know', { ...event, data: { n: 1n } }, undefined],
    ['too many bytes', { ...event, data: { text: '€'.repeat(400) } }, 1_500],
    ['metadata of too many bytes', { ...event, metadata: { note: 'x'.repeat(1_500) } }, 1_500],
  ])('refer to the log for %s', (_, recorded: RecordedEvent, bytesMax) => {
    const record = toCloudEvent(recorded, bytesMax)
    expect(record).toMatchObject({ key: 'payment-1', value: null })
    expect(record.headers).toMatchObject({ ce_dataref: 'log:payment-1@3', ce_id: 'e1' })
    expect(record.headers).not.toHaveProperty('ce_metadata')
    expect(fromCloudEvent(record)).toMatchObject({ ok: false, reference: { ...reference, position: event.position } })
  })

  it('stay whole up to the bytes that they may have', () => {
    const data = { text: '€'.repeat(100) }
    const { key, value, headers } = toCloudEvent({ ...event, data })
    const size = [key, value!, ...Object.entries(headers).flat()].reduce(
      (sum, text) => sum + Buffer.byteLength(text),
      0,
    )
    expect(toCloudEvent({ ...event, data }, size).value).toBe(value)
    expect(toCloudEvent({ ...event, data }, size - 1).value).toBeNull()
  })

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
