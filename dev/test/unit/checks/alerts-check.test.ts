import { describe, expect, it } from '@jest/globals'
import { alertFaults, metricsOf, readAlerts } from '../../../checks/alerts-check.mjs'

const { yaml, runbooks } = readAlerts()

function changed(from: string, to: string): string {
  const result = yaml.replace(from, to)
  expect(result).not.toBe(yaml)
  return result
}

describe('the check of the alarms', () => {
  it('accepts them as they are', () => expect(alertFaults(yaml, runbooks)).toEqual([]))

  it('finds the metrics of an expression, and nothing else', () => {
    expect(
      metricsOf('max by (projection) (a_total{state=~"b|c"}) == 1 and time() - sum(rate(d_e[15m])) > 900'),
    ).toEqual(['a_total', 'd_e'])
    expect(metricsOf('(max(annals_relay_role{role="leader"}) or vector(0)) < 1')).toEqual(['annals_relay_role'])
  })

  it('refuses a rule whose runbook is missing, or does not speak of it', () => {
    expect(alertFaults(changed('docs/runbooks/lag.md', 'docs/runbooks/leg.md'), runbooks)).toEqual([
      'AnnalsLag leads to docs/runbooks/leg.md, which is not there.',
    ])
    expect(alertFaults(changed('docs/runbooks/lag.md', 'docs/runbooks/drift.md'), runbooks)).toEqual([
      'docs/runbooks/drift.md does not speak of AnnalsLag.',
    ])
  })

  it('refuses a rule without severity or wait', () => {
    expect(alertFaults(changed('labels: { severity: warning }', 'labels: {}'), runbooks)).not.toEqual([])
    expect(alertFaults(changed('        for: 5m\n', ''), runbooks)).not.toEqual([])
  })

  it('refuses a runbook that no alarm leads to, and one that speaks of an alarm that is gone', () => {
    expect(alertFaults(yaml, { ...runbooks, 'docs/runbooks/new.md': '`AnnalsNothing`' })).toEqual([
      'No alarm leads to docs/runbooks/new.md.',
      'docs/runbooks/new.md speaks of AnnalsNothing, which is no alarm.',
    ])
  })
})
