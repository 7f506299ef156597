import { expect, it } from '@jest/globals'
import { passingRun, runMsMax } from './fault-run'

it(
  'heals when a store is set back, or refuses in words that mend it: a topic, the log, the deliveries',
  async () => {
    const report = await passingRun(['--only', 'restores', '--steps', 'topic,log,deliveries'])
    expect(report).toMatchObject({ lost: 0, doubled: 0, reordered: 0, wrong: 0, stepsNotRun: [] })
    expect(report.healed + report.mended).toBe(3)
    // Nobody may take a log for whole that lacks what was acknowledged, nor send what may have been sent.
    expect(report.lostWithTheBackup).toBeGreaterThan(0)
    expect(report.refusals).toBeGreaterThanOrEqual(2)
  },
  runMsMax,
)
