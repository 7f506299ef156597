/** A small fault run of rebuilds, and after it rows broken on purpose. */
import { expect, it } from '@jest/globals'
import { faultRun, passingRun, runMsMax } from './fault-run'

it(
  'rebuilds read models that are in use, through a kill of each rebuild, and notices what is broken',
  async () => {
    const args = ['--only', 'rebuild', '--events', '3000', '--rebuilds', '4', '--self-check']
    const report = await passingRun(args)
    expect(report).toMatchObject({ lost: 0, doubled: 0, wholeBeforeBreaking: true, allBreaksNoticed: true })
    expect(report.kills).toBeGreaterThanOrEqual(4)
    // The fifth is the one that had to refuse: a row of the live read model had been changed.
    expect(report).toMatchObject({ rebuilds: 5, verifiedEqual: 4, readsFailed: 1 })
    expect(report.readsDuring).toBeGreaterThan(100)
  },
  runMsMax,
)

it(
  'ends with code 1 when a rebuild refuses',
  async () => {
    const args = ['--only', 'rebuild', '--events', '1000', '--rebuilds', '1', '--break', 'live-row']
    const { code, report } = await faultRun(args)
    expect(code).toBe(1)
    expect(report).toMatchObject({ rebuilds: 2, verifiedEqual: 1, lost: 0, doubled: 0, wholeBeforeBreaking: true })
  },
  runMsMax,
)
