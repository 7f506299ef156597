import { expect, it } from '@jest/globals'
import { passingRun, runMsMax } from './fault-run'

it(
  'keeps every promise while leaders among three Kafka nodes are killed and frozen, and the other servers crash',
  async () => {
    const report = await passingRun(['--only', 'servers', '--minutes', '0.5'])
    expect(report).toMatchObject({ lost: 0, doubled: 0, reordered: 0, wrong: 0, servicesEnded: 0 })
    expect(report.serverFaultsBy).toMatchObject({ 'postgres crash': 1, 'redis kill': 1, 'eventstore kill': 1 })
    expect(report.leadersKilled).toBeGreaterThanOrEqual(1)
    expect(report.leadersFrozen).toBeGreaterThanOrEqual(1)
  },
  runMsMax,
)
