import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { beforeAll, expect, it, jest } from '@jest/globals'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { requireEnv, testScope, type TestDatabase, type TestEventStore } from '@annals/platform/testing'
import { payments } from '../../src/projections'
import { exitCodes } from '../../src/replay/exit-code'
import { ReportLine } from '../../src/replay/reporting/report'
import { projectionDatabase, silent } from '../support/database'
import { aPayment, paymentFacts } from '../support/facts'
import { createReadModels } from '../support/read-models'

// A dozen processes, perhaps on a busy machine.
jest.setTimeout(180_000)

const cli = path.join(__dirname, '../../dist/replay/main.js')

const user = '00000000-0000-4000-8000-000000000000'

let store: TestEventStore
let log: EventLog
const scope = testScope('file')
let database: TestDatabase
const paid = [aPayment(), aPayment(), aPayment()]

beforeAll(async () => {
  store = await scope.eventStore()
  log = scope.add(createEventLog(store.url, silent), (it) => it.close())
  database = await scope.database(projectionDatabase)
  const models = await createReadModels(database.pool, [payments])
  for (const payment of paid) await log.append(payment.stream, paymentFacts(payment, 0n), -1)
  const events = []
  for await (const event of log.readAll({ after: undefined })) events.push(event)
  await models.feed(events)
})

const environment = () => ({
  ...process.env,
  EVENTSTORE_URL: store.url,
  PROJECTION_DATABASE_URL: database.url,
  SUBJECT_KEYS_DATABASE_URL: requireEnv('SUBJECT_KEYS_DATABASE_URL'),
  MASTER_KEY: requireEnv('MASTER_KEY'),
})

const replay = (...args: string[]) => {
  const env = environment()
  return new Promise<{ code: number; output: string }>((resolve) =>
    execFile(process.execPath, [cli, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    ),
  )
}

it('folds a snapshot, compares it, and drops it, with exit codes that scripts can use', async () => {
  const second = (await log.readStream(paid[1]!.stream)).at(-1)!.position
  const made = await replay('payments', '--as-of', String(second), '--into', 'two')
  expect(made.output).toMatch(/payments +as of position \d+:\n +6 events in payments_asof_two/)
  expect(made.code).toBe(exitCodes.done)
  expect((await replay('payments', '--as-of', String(second), '--into', 'two')).code).toBe(exitCodes.usage)

  const differs = await replay('diff', 'payments', 'two', 'live')
  expect(differs.output).toContain(`+ ${paid[2]!.paymentId}\n1 added, 0 removed, 0 changed`)
  expect(differs.code).toBe(exitCodes.notEqual)
  const points = await replay('diff', 'payments', '0', String(second), '--json')
  expect(JSON.parse(points.output)).toMatchObject({ added: 2, removed: 0, changed: 0 })
  expect((await replay('diff', 'payments', '2026-01-01', 'live', '--json')).code).toBe(exitCodes.notEqual)

  const { code, output } = await replay('payments', '--stream', paid[0]!.stream, '--into', 'one')
  expect(output).toContain('3 events in payments_asof_one')
  expect(code).toBe(exitCodes.done)
  const equal = await replay('diff', 'payments', 'one', 'live')
  expect(equal.output).toContain('no differences')
  expect(equal.code).toBe(exitCodes.done)

  const listed = await replay('snapshots', '--json')
  expect(JSON.parse(listed.output)).toMatchObject([
    { label: 'one', projection: 'payments', kind: 'scope', events: 3 },
    { label: 'two', projection: 'payments', kind: 'as-of', events: 6 },
  ])
  expect((await replay('snapshot', 'drop', 'two')).output).toContain('payments_asof_two is gone')
  expect((await replay('snapshot', 'drop', 'two')).code).toBe(exitCodes.usage)
  const { rows } = await database.pool.query(`select nspname from pg_namespace where nspname like '%\\_as%'`)
  expect(rows).toEqual([{ nspname: 'payments_asof_one' }])
})

it('names a snapshot after what it holds, and tells programs in lines of JSON', async () => {
  const at = (await log.readStream(paid[0]!.stream)).at(-1)!.position
  const { code, output } = await replay('payments', '--as-of', String(at), '--json')
  expect(code).toBe(exitCodes.done)
  const lines = output
    .trim()
    .split('\n')
    .map((line) => ReportLine.parse(JSON.parse(line)))
  expect(lines.at(-1)).toMatchObject({
    event: 'done',
    snapshot: `p${at}`,
    projections: [{ projection: 'payments', events: 3, what: `as of position ${at}` }],
  })
  expect((await replay('snapshot', 'drop', `p${at}`)).code).toBe(exitCodes.done)

  const second = (await log.readStream(paid[1]!.stream))[0]!.position
  const range = await replay('payments', '--from', String(second), '--to', String(second + 1n), '--into', 'second')
  expect(range.output).toMatch(/3 events in payments_asof_second/)
})

it('makes two snapshots of two times that differ by milliseconds', async () => {
  for (const at of ['2026-01-01T10:00:00.100Z', '2026-01-01T10:00:00.900Z', '2026-01-01T10:00:00Z'])
    expect((await replay('payments', '--as-of', at)).code).toBe(exitCodes.done)
  const listed = JSON.parse((await replay('snapshots', '--json')).output) as { label: string; what: string }[]
  const times = listed.filter(({ what }) => what.startsWith('as of 2026-01-01'))
  expect(times.map(({ label, what }) => [label, what])).toEqual([
    ['t1767261600100', 'as of 2026-01-01T10:00:00.100Z'],
    ['t1767261600900', 'as of 2026-01-01T10:00:00.900Z'],
    ['t20260101100000', 'as of 2026-01-01T10:00:00.000Z'],
  ])
  for (const { label } of times) await replay('snapshot', 'drop', label)
})

it.each([
  ['rebuild', '--help'],
  ['--help'],
  ['history'],
  ['parked', 'list'],
  ['status'],
  ['payments', '--dry-run'],
  ['drift', 'payments'],
])('ends quietly when nobody reads what `replay %s` tells', async (...args) => {
  const child = spawn(process.execPath, [cli, ...args], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] })
  // As `head` does: nothing is left to write to from the beginning.
  child.stdout.destroy()
  let told = ''
  child.stderr.on('data', (text) => (told += String(text)))
  const [code] = (await once(child, 'exit')) as [number]
  expect({ code, told }).toEqual({ code: exitCodes.done, told: '' })
})

it.each([
  ['a wrong label', ['payments', '--as-of', '1', '--into', 'Live!'], /A label has/],
  ['a time without a zone', ['payments', '--as-of', '2026-01-01T10:00'], /A time is like/],
  ['a day that is in no calendar', ['payments', '--as-of', '2026-02-30'], /A time is like/],
  ['a time of such a day', ['payments', '--from', '2026-04-31T10:00:00Z'], /A time is like/],
  ['a time of the topics', ['payments', '--as-of', '2026-01-01', '--source', 'kafka'], /--as-of <position>/],
  ['some streams of the topics', ['payments', '--user', user, '--source', 'kafka'], /leave --source out/],
  ['a point and a scope', ['payments', '--as-of', '1', '--user', user], /fold --as-of alone/],
  ['a snapshot that is throttled', ['payments', '--as-of', '1', '--throttle', '5'], /--throttle is about rebuilding/],
  ['a snapshot of nothing', ['payments', '--into', 'x'], /say what it holds/],
  ['an end before its beginning', ['payments', '--from', '7', '--to', '7'], /lies before/],
  ['no read model', ['--as-of', '1', '--into', 'x'], /name projections/],
  ['a command of former times', ['as-of', '1', 'payments', '--into', 'x'], /There are: /],
] as const)('refuses %s, and says what to do', async (_, args, advice) => {
  const { code, output } = await replay(...args)
  expect(code).toBe(exitCodes.usage)
  expect(output).toMatch(advice)
})
