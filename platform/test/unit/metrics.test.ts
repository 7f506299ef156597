import { describe, expect, it } from '@jest/globals'
import { counter, createMetrics, durations, gauge } from '../../src/metrics'
import { nameFault } from '../../src/metrics/naming'

describe('the names of metrics', () => {
  it('are those of an area, with a unit', () => {
    expect(nameFault('annals_relay_events_published_total', 'counter')).toBeUndefined()
    expect(nameFault('annals_consumer_lag_records', 'gauge')).toBeUndefined()
    expect(nameFault('annals_process_ready', 'gauge')).toBeUndefined()
    expect(nameFault('annals_api_request_seconds', 'histogram')).toBeUndefined()
  })

  it.each([
    ['relay_events_published_total', 'counter'],
    ['annals_total', 'counter'],
    ['annals_relay_Events_total', 'counter'],
    ['annals_relay__events_total', 'counter'],
  ] as const)('refuses %s: not the form', (name, kind) =>
    expect(nameFault(name, kind)).toBe(`The metric ${name} is not named annals_<area>_<what>_<unit>.`),
  )

  it.each([
    ['annals_relay_events', 'counter'],
    ['annals_relay_events_total', 'gauge'],
    ['annals_relay_lag_ms', 'gauge'],
    ['annals_api_request_ready', 'histogram'],
  ] as const)('refuses %s as a %s: not a unit of that kind', (name, kind) =>
    expect(nameFault(name, kind)).toContain(`The ${kind} ${name} ends with`),
  )

  it('are held when a metric is made', () => {
    const registry = createMetrics('test')
    expect(() => counter(registry, 'mails', 'Mails')).toThrow('annals_<area>_<what>_<unit>')
    expect(() => gauge(registry, 'annals_notifier_mails_total', 'Mails')).toThrow('ends with "total"')
    expect(() => durations(registry, 'annals_notifier_mails_ms', 'Time of a mail')).toThrow('ends with "ms"')
    expect(registry.getSingleMetric('mails')).toBeUndefined()
  })

  it('are told with values that are asked for', async () => {
    const registry = createMetrics('test')
    gauge(registry, 'annals_notifier_open_deliveries', 'Open', ['channel'], async (it) => it.set({ channel: 'sms' }, 3))
    expect(await registry.metrics()).toContain('annals_notifier_open_deliveries{channel="sms",service="test"} 3')
  })
})
