import { expect, it } from '@jest/globals'
import { passingRun, runMsMax } from './fault-run'

it(
  'goes on by itself when every connection of every process falls silent and stays so',
  async () => {
    const report = await passingRun(['--only', 'silence', '--silences', '1'])
    expect(report).toMatchObject({ lost: 0, doubled: 0, reordered: 0, wrong: 0, servicesEnded: 0 })
    expect(report).toMatchObject({ silences: 1, healed: 1, servicesNeverReady: 0 })
    // Five processes, and what each of them has opened by then.
    expect(report.linksSilenced).toBeGreaterThanOrEqual(14)
  },
  runMsMax,
)
