/** A small fault run of read models that leave and join, and after it a join broken on purpose. */
import { expect, it } from '@jest/globals'
import { passingRun, runMsMax } from './fault-run'

it(
  'has every read model in its lane again, with each event applied once, whatever left, was swapped, rolled back, killed and frozen',
  async () => {
    const report = await passingRun(['--only', 'lanes', '--minutes', '0.6', '--self-check'])
    expect(report).toMatchObject({ wholeBeforeBreaking: true, allBreaksNoticed: true, instancesEnded: [] })
    expect(report.leavesNoticed).toBeGreaterThanOrEqual(2)
    expect(report.joins).toBe(report.leaves)
    for (const count of Object.values(report.leavesCausedBy)) expect(count).toBeGreaterThanOrEqual(1)
    for (const count of Object.values(report.instances)) expect(count).toBeGreaterThanOrEqual(1)
    expect(report.swaps).toBeGreaterThanOrEqual(1)
    expect(report.rollbacks).toBeGreaterThanOrEqual(1)
    expect(report.commandsAcknowledged).toBeGreaterThanOrEqual(100)
  },
  runMsMax,
)
