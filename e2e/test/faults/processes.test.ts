/** A small fault run, and after it every promise broken on purpose: proves that the system keeps them and that the check sees. */
import { expect, it } from '@jest/globals'
import { breaks } from '../../faults/breaks.mjs'
import { faultRun, passingRun, runMsMax } from './fault-run'

it(
  'keeps every promise through a kill of each process, and notices each that is broken',
  async () => {
    const report = await passingRun(['--only', 'processes', '--commands', '120', '--kills', '1', '--self-check'])
    expect(report).toMatchObject({ kills: 6, wholeBeforeBreaking: true, allBreaksNoticed: true })
    expect(report.killsBy).toEqual({ relay: 1, projector: 1, notifier: 1, command: 1, eventstore: 1, kafka: 1 })
    expect(report.commandsAcknowledged).toBeGreaterThanOrEqual(120)
    expect(report.broken.toSorted()).toEqual(Object.keys(breaks).toSorted())
  },
  runMsMax,
)

it(
  'ends with code 1 when a promise is broken',
  async () => {
    const { code, report } = await faultRun([
      '--only',
      'processes',
      '--commands',
      '20',
      '--kills',
      '0',
      '--break',
      'ack',
    ])
    expect(code).toBe(1)
    expect(report).toMatchObject({ lost: 1, doubled: 0, reordered: 0, wrong: 0, wholeBeforeBreaking: true })
  },
  runMsMax,
)
