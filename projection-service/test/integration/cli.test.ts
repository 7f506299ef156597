import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import path from 'node:path'
import { beforeAll, describe, expect, it, jest } from '@jest/globals'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { eventually, requireEnv, testScope, type TestDatabase } from '@annals/platform/testing'
import { shareGenerationSql } from '../../src/engine/tables/registry'
import { payments, paymentTotals } from '../../src/projections'
import { exitCodes } from '../../src/replay/exit-code'
import type { RebuildRecord } from '../../src/replay/rebuild/rebuild-history'
import { ReportLine } from '../../src/replay/reporting/report'
import { projectionDatabase, silent } from '../support/database'
import { aPayment, paymentFacts } from '../support/facts'
import { createReadModels } from '../support/read-models'

// Processes are started and killed again and again, perhaps on a busy machine.
jest.setTimeout(180_000)

const cli = path.join(__dirname, '../../dist/replay/main.js')

const scope = testScope('file')
let database: TestDatabase
let log: EventLog
let env: NodeJS.ProcessEnv

beforeAll(async () => {
  // A log of its own: the CLI reads all that a log holds.
  const { url } = await scope.eventStore()
  log = scope.add(createEventLog(url, silent), (it) => it.close())
  database = await scope.database(projectionDatabase)
  env = {
    ...process.env,
    EVENTSTORE_URL: url,
    PROJECTION_DATABASE_URL: database.url,
    SUBJECT_KEYS_DATABASE_URL: requireEnv('SUBJECT_KEYS_DATABASE_URL'),
    MASTER_KEY: requireEnv('MASTER_KEY'),
  }
  const models = await createReadModels(database.pool, [payments, paymentTotals])
  for (let i = 0; i < 40; i++) {
    const [created, started, processed] = paymentFacts(aPayment(), 0n)
    // Many attempts: a long log with few appends.
    const events = [
      created!,
      ...Array.from({ length: 98 }, () => ({ ...started!, id: crypto.randomUUID() })),
      processed!,
    ]
    await log.append(created!.stream, events, -1)
  }
  const events = []
  for await (const event of log.readAll({ after: undefined })) events.push(event)
  await models.feed(events)
})

interface Run {
  code: number | null
  output: string
}

const linesOf = (output: string) =>
  output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => ReportLine.parse(JSON.parse(line)))

const widthOf = (output: string) => Math.max(...output.split('\n').map((line) => line.length))

/** @param killAfterMs ends it by SIGKILL, if it still runs then. */
function replay(args: readonly string[], killAfterMs?: number): Promise<Run> {
  const child = spawn(process.execPath, [cli, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  return new Promise((resolve) =>
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, output })
    }),
  )
}

describe('the replay CLI', () => {
  it('ends verified and swapped however often it is killed', async () => {
    let kills = 0
    let last: Run
    do {
      // From the middle of its start to the middle of its fold, and later each time: it comes to its end for certain.
      last = await replay(
        ['payments', 'payment_totals', '--throttle', '1000'],
        500 + 700 * kills * Math.random() + 300 * kills ** 2,
      )
      if (last.code === null) kills += 1
      // The lock of the killed one may live a moment longer than it.
      else expect([exitCodes.done, exitCodes.running]).toContain(last.code)
    } while (last.code !== exitCodes.done)
    expect(kills).toBeGreaterThan(2)
    expect(last.output).toMatch(/40 rows equal the live ones/)

    const status = await replay(['status', '--json'])
    const found = (JSON.parse(status.output) as { projection: string; rebuild?: object }[]).filter(
      ({ rebuild }) => rebuild,
    )
    expect(found).toEqual([
      expect.objectContaining({
        projection: 'payments',
        previousVersion: 1,
        rebuild: expect.objectContaining({ outcome: 'live', events: 4_000 }),
      }),
      expect.objectContaining({
        projection: 'payment_totals',
        rebuild: expect.objectContaining({ outcome: 'live', events: 4_000 }),
      }),
    ])
    const { rows } = await database.pool.query('select sum(completed_count) as n from payment_totals.payment_total')
    expect(Number(rows[0].n)).toBe(40)
  })

  it('tells every rebuild there was, newest first', async () => {
    const { code, output } = await replay(['history', '--json'])
    expect(code).toBe(exitCodes.done)
    const records = JSON.parse(output) as RebuildRecord[]
    // One of each read model, and more where a kill came after the first was done: the same call then makes both again.
    expect(new Set(records.map(({ projection }) => projection))).toEqual(new Set(['payments', 'payment_totals']))
    const times = records.map(({ startedAt }) => Date.parse(startedAt))
    expect(times).toEqual(times.toSorted((one, other) => other - one))
    for (const record of records) {
      expect(record).toMatchObject({
        outcome: 'live',
        events: 4_000,
        actor: expect.stringMatching(/.@./),
        reason: null,
      })
      // Killed runs left no reason: they were counted by those that took up.
      expect(record.failures).toBe(record.runs - 1)
      expect(record.workedSeconds).toBeGreaterThan(0)
      expect(record.perSecond).toBeGreaterThan(0)
    }
    expect(records.reduce((sum, { runs }) => sum + runs, 0)).toBeGreaterThan(2)
    const text = await replay(['history', 'payments', '--limit', '1'])
    expect(text.output).toMatch(
      /payments +1 +\d+s +4,000 +[\d,]+ +live\n {2}by .+\n {2}equal to live; 40 rows recounted, 40 streams/,
    )
    expect(widthOf(text.output)).toBeLessThanOrEqual(80)
  })

  it('tells programs in lines of JSON, the last one with the result', async () => {
    const { code, output } = await replay(['payments', 'payment_totals', '--json', '--throttle', '2000'])
    expect(code).toBe(exitCodes.done)
    const lines = linesOf(output)
    expect(lines.filter(({ event }) => event === 'progress').length).toBeGreaterThan(0)
    expect(
      lines.flatMap((line) => (line.event === 'stage' && line.projection === 'payments' ? line.stage : [])),
    ).toEqual(['prepared', 'folding', 'catching-up', 'indexing', 'verifying', 'swapping', 'live'])
    expect(lines.at(-1)).toMatchObject({
      event: 'done',
      exitCode: 0,
      projections: [
        { projection: 'payments', rows: 40, events: 4_000, compared: true, lockedMs: expect.any(Number) },
        { projection: 'payment_totals', events: 4_000, compared: true },
      ],
    })
    const plan = linesOf((await replay(['payments', '--dry-run', '--json'])).output)
    expect(plan).toMatchObject([{ event: 'plan', projections: [{ rows: 40, comparedBy: 'rows', goesOnAfter: null }] }])
    const refused = await replay(['nonsense', '--json'])
    expect(refused.code).toBe(exitCodes.usage)
    expect(linesOf(refused.output)).toMatchObject([{ event: 'failed', code: 'usage', exitCode: 2 }])
  })

  it('compares alone when asked to, swaps nothing, and says so in the history', async () => {
    const epochs = 'select name, epoch from annals.projection order by name'
    const { rows: before } = await database.pool.query(epochs)
    const { code, output } = await replay(['payments', '--verify-only', '--json'])
    expect(code).toBe(exitCodes.done)
    const last = linesOf(output).at(-1)
    expect(last).toMatchObject({ event: 'done', projections: [{ projection: 'payments', rows: 40, compared: true }] })
    expect(last).not.toHaveProperty('projections.0.lockedMs')
    expect((await database.pool.query(epochs)).rows).toEqual(before)
    const text = await replay(['history', 'payments', '--limit', '1'])
    expect(text.output).toMatch(/ verified\n/)
  })

  it('tells of a rebuild that found a difference, until another one went well', async () => {
    const live = 'payments.payment'
    await database.pool.query(
      `update ${live} set status = 'failed' where payment_id = (select payment_id from ${live} limit 1)`,
    )
    const { code, output } = await replay(['payments', '--json'])
    expect(code).toBe(exitCodes.notEqual)
    expect(linesOf(output).at(-1)).toMatchObject({
      event: 'failed',
      code: 'notEqual',
      exitCode: 3,
      verified: [
        {
          projection: 'payments',
          equal: false,
          differences: {
            rows: { changed: 1, onlyLive: 0, onlyRebuilt: 0 },
            streams: { changed: 0, onlyLive: 0, onlyRebuilt: 0 },
          },
        },
      ],
    })
    const again = await replay(['payments'])
    expect(again.output).toMatch(
      /payments: rebuilt and live differ\n {2}rows: 1 changed\n {2}[\da-f-]{36}\nNothing was swapped/,
    )
    expect(widthOf(again.output)).toBeLessThanOrEqual(80)
    const verifying = await replay(['payments', '--verify-only'])
    expect(verifying).toMatchObject({ code: exitCodes.running, output: expect.stringMatching(/unfinished rebuild/) })
    expect(widthOf(verifying.output)).toBeLessThanOrEqual(80)
    const status = await replay(['status'])
    expect(status.output).toMatch(/payments differs while verifying, after 4,000 events/)
    expect(status.output).toMatch(/give it up: `replay abort payments`/)
    expect(widthOf(status.output)).toBeLessThanOrEqual(80)
    expect((await replay(['abort', 'payments'])).code).toBe(exitCodes.done)
    await database.pool.query(`update ${live} set status = 'completed'`)
    expect((await replay(['payments'])).code).toBe(exitCodes.done)
    const [last, before] = JSON.parse((await replay(['history', 'payments', '--json'])).output) as RebuildRecord[]
    expect(last).toMatchObject({ outcome: 'live', failures: 0 })
    expect(before).toMatchObject({ outcome: 'aborted', failures: 2, reason: 'by the operator' })
  })

  it('tells of a rebuild whose process is gone, and refuses a second one beside a running one', async () => {
    const child = spawn(process.execPath, [cli, 'payments', '--throttle', '100'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text) => String(text).includes('folding') && resolve())
    })
    const second = await replay(['payments', '--json'])
    expect(second.code).toBe(exitCodes.running)
    expect(linesOf(second.output)).toMatchObject([{ event: 'failed', code: 'running', exitCode: 4 }])
    const outcome = async () =>
      (JSON.parse((await replay(['history', 'payments', '--json', '--limit', '1'])).output) as RebuildRecord[])[0]!
    expect(await outcome()).toMatchObject({ outcome: 'running', reason: null })
    child.kill('SIGKILL')
    // PostgreSQL notices some moments later.
    await eventually(async () => expect(await outcome()).toMatchObject({ outcome: 'died' }), { withinMs: 30_000 })
    expect((await replay(['payments'])).code).toBe(exitCodes.done)
    expect(await outcome()).toMatchObject({ outcome: 'live', runs: 2, failures: 1 })
  })

  it('says what it would do, and does nothing', async () => {
    const { code, output } = await replay(['payments', '--dry-run'])
    expect(code).toBe(exitCodes.done)
    expect(output).toMatch(/40 rows, compared row by row[^]*nothing was changed/)
    expect(Math.max(...output.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('keeps what was folded when it is told to end', async () => {
    const child = spawn(process.execPath, [cli, 'payments', '--throttle', '1000'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text) => String(text).includes('folding') && resolve())
    })
    child.kill('SIGTERM')
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect(code).toBe(exitCodes.interrupted)
    const status = await replay(['status'])
    expect(status.output).toMatch(/payments interrupted while folding/)
    expect((await replay(['payments'])).code).toBe(exitCodes.done)
  })

  it.each([
    ['a read model that is not there', ['nonsense']],
    ['no read model', []],
    ['a throttle that is no number', ['payments', '--throttle', 'fast']],
    ['an option that is not there', ['payments', '--faster']],
    ['a rollback to nothing', ['rollback', 'users']],
    ['a history of too much', ['history', '--limit', '5000']],
  ])('refuses %s', async (_, args) => {
    const { code, output } = await replay(args)
    expect(code).toBe(exitCodes.usage)
    expect(output).not.toMatch(/ at .*\.js:\d+/)
  })

  it('names what is missing in the configuration', async () => {
    const before = env
    env = { ...env, EVENTSTORE_URL: '' }
    const { code, output } = await replay(['payments'])
    env = before
    expect(code).toBe(exitCodes.usage)
    expect(output).toMatch(/EVENTSTORE_URL: is not set/)
  })
})

describe('the exit code', () => {
  it('is 1 where a server does not answer, and what was done is kept', async () => {
    const before = env
    env = { ...env, PROJECTION_DATABASE_URL: 'postgres://annals@127.0.0.1:1/annals' }
    const { code, output } = await replay(['payments', '--json'])
    env = before
    expect(code).toBe(exitCodes.fault)
    expect(linesOf(output)).toMatchObject([{ event: 'failed', code: 'fault', exitCode: 1 }])
  })

  it('is 5 when the swap is not let in, and the same call swaps afterwards without folding again', async () => {
    const projector = await database.pool.connect()
    // The server would end it after ten seconds.
    await projector.query('begin; set local idle_in_transaction_session_timeout = 0')
    await projector.query(shareGenerationSql(payments.name))
    const { code, output } = await replay(['payments', '--json'])
    await projector.query('commit')
    projector.release()
    expect(code).toBe(exitCodes.busy)
    expect(linesOf(output).at(-1)).toMatchObject({ event: 'failed', code: 'busy', exitCode: 5 })
    const again = await replay(['payments'])
    expect(again.code).toBe(exitCodes.done)
    expect(again.output).toMatch(/^payments +continues after 4,000 events of an earlier run\n/)
  })

  it('is 6 when the log holds what this release can not fold, and live stays as it is', async () => {
    const [created] = paymentFacts(aPayment(), 0n)
    const metadata = { ...(created!.metadata as object), schemaVersion: 99 }
    await log.append(created!.stream, [{ ...created!, metadata }], -1)
    const { code, output } = await replay(['payments'])
    expect(code).toBe(exitCodes.stopped)
    expect(output).toMatch(/version 99 in stream\s+payment-.*: a newer release has to read it/)
    const { rows } = await database.pool.query('select count(*)::integer as n from payments.payment')
    expect(rows[0].n).toBe(40)
  })
})

/**
 * Priorities of a process's threads, and of its session; 19 is the lowest. A session has none where the kernel has no such
 * thing, and where nobody has called `setsid` since the machine began, as in some containers.
 */
function prioritiesOf(pid: number): { threads: number[]; session: number | undefined } {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => getPriority(Number(thread)))
  const group = `/proc/${pid}/autogroup`
  const nice = existsSync(group) ? /nice (-?\d+)/.exec(readFileSync(group, 'utf8'))?.[1] : undefined
  return { threads, session: nice === undefined ? undefined : Number(nice) }
}

/** What a new session has, or would be given. */
const sessionPriority = (priority: number) => (existsSync('/proc/self/autogroup') ? priority : undefined)

/** Priorities of a rebuild that is in its middle, and of this process then. */
const prioritiesAmidst = (args: readonly string[], options: { detached?: boolean } = {}) =>
  eventually(async () => {
    const child = spawn(process.execPath, [cli, 'payments', '--json', ...args], { env, ...options })
    const closed = once(child, 'close')
    try {
      // One that was killed just before may hold the lock a moment longer than it lives.
      for await (const text of child.stdout) {
        if (String(text).includes('folding')) {
          return { own: prioritiesOf(child.pid!), ours: prioritiesOf(process.pid) }
        }
      }
      throw new Error('it ended before it folded')
    } finally {
      child.kill('SIGKILL')
      await closed
    }
  })

describe('a throttled rebuild', () => {
  it('comes after everything else, with all its threads and its session', async () => {
    const before = prioritiesOf(process.pid)
    const { own, ours } = await prioritiesAmidst(['--throttle', '1000'], { detached: true })
    expect(own.threads.length).toBeGreaterThan(5)
    expect(own).toEqual({ threads: own.threads.map(() => 19), session: sessionPriority(19) })
    expect(ours).toEqual({ threads: ours.threads.map(() => before.threads[0]), session: before.session })
  })

  it('leaves the priority of others in its session alone', async () => {
    const before = prioritiesOf(process.pid)
    // Somebody who does not wait for the rebuild, whoever else is in this session.
    scope.process(['-e', 'setTimeout(() => {}, 600_000)'])
    const { own, ours } = await prioritiesAmidst(['--throttle', '1000'])
    expect(own).toEqual({ threads: own.threads.map(() => 19), session: before.session })
    expect(ours.session).toBe(before.session)
  })

  it('is the only one that does', async () => {
    const before = prioritiesOf(process.pid)
    const { own } = await prioritiesAmidst([], { detached: true })
    expect(own).toEqual({ threads: own.threads.map(() => before.threads[0]), session: sessionPriority(0) })
  })
})
