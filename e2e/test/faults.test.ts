/** Small fault runs, and after each every promise broken on purpose: proves both that the system keeps them and that the check sees. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from '@jest/globals'
import { breaks } from '../faults/breaks.mjs'
import { startProgram } from '../processes.mjs'

const runMsMax = 420_000
const folder = mkdtempSync(join(tmpdir(), 'annals-faults-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const faults = async (args: string[]) => {
  const file = join(folder, 'report.json')
  const { code, output } = await startProgram('e2e/faults.mjs', [...args, '--json', file], {}, runMsMax)
  return { code, output, report: JSON.parse(readFileSync(file, 'utf8')) }
}

/** Fails with what the run said, when it did not pass. */
const passing = async (args: string[]) => {
  const { code, output, report } = await faults(args)
  if (code !== 0) throw new Error(`exit code ${code}:\n${output.slice(-8_000)}`)
  return report
}

it(
  'keeps every promise through a kill of each process, and notices each that is broken',
  async () => {
    const report = await passing(['--only', 'processes', '--commands', '120', '--kills', '1', '--self-check'])
    expect(report).toMatchObject({ kills: 6, wholeBeforeBreaking: true, allBreaksNoticed: true })
    expect(report.killsBy).toEqual({ relay: 1, projector: 1, notifier: 1, command: 1, eventstore: 1, kafka: 1 })
    expect(report.commandsAcknowledged).toBeGreaterThanOrEqual(120)
    expect(report.broken.toSorted()).toEqual(Object.keys(breaks).toSorted())
  },
  runMsMax,
)

it(
  'keeps every promise while leaders among three Kafka nodes are killed and frozen, and the other servers crash',
  async () => {
    const report = await passing(['--only', 'servers', '--minutes', '0.5'])
    expect(report).toMatchObject({ lost: 0, doubled: 0, reordered: 0, wrong: 0, servicesEnded: 0 })
    expect(report.serverFaultsBy).toMatchObject({ 'postgres crash': 1, 'redis kill': 1, 'eventstore kill': 1 })
    expect(report.leadersKilled).toBeGreaterThanOrEqual(1)
    expect(report.leadersFrozen).toBeGreaterThanOrEqual(1)
  },
  runMsMax,
)

it(
  'goes on by itself when every connection of every process falls silent and stays so',
  async () => {
    const report = await passing(['--only', 'silence', '--silences', '1'])
    expect(report).toMatchObject({ lost: 0, doubled: 0, reordered: 0, wrong: 0, servicesEnded: 0 })
    expect(report).toMatchObject({ silences: 1, healed: 1, servicesNeverReady: 0 })
    // Five processes, and what each of them has opened by then.
    expect(report.linksSilenced).toBeGreaterThanOrEqual(14)
  },
  runMsMax,
)

it(
  'ends with code 1 when a promise is broken',
  async () => {
    const { code, report } = await faults(['--only', 'processes', '--commands', '20', '--kills', '0', '--break', 'ack'])
    expect(code).toBe(1)
    expect(report).toMatchObject({ lost: 1, doubled: 0, reordered: 0, wrong: 0, wholeBeforeBreaking: true })
  },
  runMsMax,
)

it(
  'rebuilds read models that are in use, through a kill of each rebuild, and notices what is broken',
  async () => {
    const args = ['--only', 'rebuild', '--events', '3000', '--rebuilds', '4', '--self-check']
    const report = await passing(args)
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
    const { code, report } = await faults(args)
    expect(code).toBe(1)
    expect(report).toMatchObject({ rebuilds: 2, verifiedEqual: 1, lost: 0, doubled: 0, wholeBeforeBreaking: true })
  },
  runMsMax,
)

it(
  'heals when a store is set back, or refuses in words that mend it: a topic, the log, the deliveries',
  async () => {
    const report = await passing(['--only', 'restores', '--steps', 'topic,log,deliveries'])
    expect(report).toMatchObject({ lost: 0, doubled: 0, reordered: 0, wrong: 0, stepsNotRun: [] })
    expect(report.healed + report.mended).toBe(3)
    // Nobody may take a log for whole that lacks what was acknowledged, nor send what may have been sent.
    expect(report.lostWithTheBackup).toBeGreaterThan(0)
    expect(report.refusals).toBeGreaterThanOrEqual(2)
  },
  runMsMax,
)

it('refuses options that make no sense', async () => {
  const refused = (...args: string[]) => startProgram('e2e/faults.mjs', args, {})
  expect(await refused('--break', 'nothing')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--break takes'),
  })
  expect(await refused('--only', 'moon')).toMatchObject({ code: 1, output: expect.stringContaining('--only takes') })
  expect(await refused('--targets', 'moon')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--targets takes'),
  })
  expect(await refused('--kills', '101')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--kills has to be'),
  })
  expect(await refused('--only', 'rebuild', '--break', 'ack')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--break takes live-row'),
  })
  expect(await refused('--events', '10')).toMatchObject({ code: 1, output: expect.stringContaining('--events has') })
  expect(await refused('--steps', 'moon')).toMatchObject({ code: 1, output: expect.stringContaining('--steps takes') })
  expect(await refused('--nothing')).toMatchObject({ code: 1, output: expect.stringContaining('Unknown option') })
  expect(await refused('--commands=x')).toMatchObject({ code: 1, output: expect.stringContaining('--commands has') })
})
