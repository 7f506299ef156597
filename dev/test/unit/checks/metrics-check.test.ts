import { describe, expect, it } from '@jest/globals'
import { metricFaults, readFiles } from '../../../checks/metrics-check.mjs'

const program = { 'platform/src/api/api.ts': "durations(metrics, 'annals_api_request_seconds', 'Time')" }

describe('the check of the names of metrics', () => {
  it('accepts them as they are', () => expect(metricFaults(readFiles())).toEqual([]))

  it('refuses a name of no area', () => {
    const files = { 'notifier-service/src/metrics.ts': "counter(registry, 'annals_mailer_mails_total', 'Mails')" }
    expect(metricFaults(files)).toEqual([
      'notifier-service/src/metrics.ts registers annals_mailer_mails_total: no known area.',
    ])
  })

  it('refuses a metric that is made past the rule', () => {
    expect(metricFaults({ 'command-service/src/relay/relay.ts': "import { Gauge } from 'prom-client'" })).toEqual([
      'command-service/src/relay/relay.ts imports prom-client: metrics are made by platform/src/metrics/.',
    ])
  })

  it('refuses an alarm and a page that speak of what no process registers', () => {
    const files = {
      ...program,
      'deploy/alerts/annals.yml': 'expr: max(rate(annals_api_request_seconds_bucket[5m])) > annals_relay_lag_seconds',
      'docs/runbooks/lag.md': 'look at `annals_consumer_lag_seconds`, and at annals_api_request_seconds',
    }
    expect(metricFaults(files)).toEqual([
      'deploy/alerts/annals.yml speaks of annals_relay_lag_seconds, which is no metric.',
      'docs/runbooks/lag.md speaks of annals_consumer_lag_seconds, which is no metric.',
    ])
  })

  it('passes over parts of patterns and names of databases', () => {
    expect(
      metricFaults({ ...program, 'dev/README.md': "grep -E '^annals_relay_(role|lag)', database annals_read" }),
    ).toEqual([])
  })
})
