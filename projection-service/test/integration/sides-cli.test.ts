import { execFile } from 'node:child_process'
import path from 'node:path'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { requireEnv, startTestEventStore, type TestEventStore } from '@annals/platform/testing'
import { payments } from '../../src/projections'
import { exitCodes } from '../../src/replay/exit-code'
import { createTestDatabase, silent, type TestDatabase } from '../support/database'
import { aPayment, paymentFacts } from '../support/facts'
import { createReadModels } from '../support/read-models'

// A dozen processes, perhaps on a busy machine.
jest.setTimeout(180_000)

const cli = path.join(__dirname, '../../dist/replay/main.js')

let store: TestEventStore
let log: EventLog
let database: TestDatabase
const paid = [aPayment(), aPayment(), aPayment()]

beforeAll(async () => {
  store = await startTestEventStore()
  log = createEventLog(store.url, silent)
  database = await createTestDatabase()
  const models = await createReadModels(database.pool, [payments])
  for (const payment of paid) await log.append(payment.stream, paymentFacts(payment, 0n), -1)
  const events = []
  for await (const event of log.readAll({ after: undefined })) events.push(event)
  await models.feed(events)
})
afterAll(async () => {
  await log.close()
  await store.remove()
  await database.drop()
})

const replay = (...args: string[]) => {
  const env = {
    ...process.env,
    EVENTSTORE_URL: store.url,
    PROJECTION_DATABASE_URL: database.url,
    SUBJECT_KEYS_DATABASE_URL: requireEnv('SUBJECT_KEYS_DATABASE_URL'),
    MASTER_KEY: requireEnv('MASTER_KEY'),
  }
  return new Promise<{ code: number; output: string }>((resolve) =>
    execFile(process.execPath, [cli, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    ),
  )
}

it('folds a side, compares it, and drops it, with exit codes that scripts can use', async () => {
  const second = (await log.readStream(paid[1]!.stream)).at(-1)!.position
  const made = await replay('as-of', String(second), 'payments', '--into', 'two')
  expect(made.output).toMatch(/payments +as of position \d+: 6 events in payments_asof_two/)
  expect(made.code).toBe(exitCodes.done)
  expect((await replay('as-of', String(second), 'payments', '--into', 'two')).code).toBe(exitCodes.usage)

  const differs = await replay('diff', 'payments', 'two', 'live')
  expect(differs.output).toContain(`+ ${paid[2]!.paymentId}\n1 added, 0 removed, 0 changed`)
  expect(differs.code).toBe(exitCodes.notEqual)
  const points = await replay('diff', 'payments', '0', String(second), '--json')
  expect(JSON.parse(points.output)).toMatchObject({ added: 2, removed: 0, changed: 0 })
  expect((await replay('diff', 'payments', '2026-01-01', 'live', '--json')).code).toBe(exitCodes.notEqual)

  const { code, output } = await replay('scoped', 'payments', '--stream', paid[0]!.stream, '--into', 'one')
  expect(output).toContain('3 events in payments_asof_one')
  expect(code).toBe(exitCodes.done)
  const equal = await replay('diff', 'payments', 'one', 'live')
  expect(equal.output).toContain('no differences')
  expect(equal.code).toBe(exitCodes.done)

  const listed = await replay('sides', '--json')
  expect(JSON.parse(listed.output)).toMatchObject([
    { label: 'one', projection: 'payments', kind: 'scope', events: 3 },
    { label: 'two', projection: 'payments', kind: 'as-of', events: 6 },
  ])
  expect((await replay('drop-side', 'two')).output).toContain('payments_asof_two is gone')
  expect((await replay('drop-side', 'two')).code).toBe(exitCodes.usage)
  const { rows } = await database.pool.query(`select nspname from pg_namespace where nspname like '%\\_as%'`)
  expect(rows).toEqual([{ nspname: 'payments_asof_one' }])
})

it.each([
  ['no scope', ['scoped', 'payments', '--into', 'x']],
  ['a wrong label', ['as-of', '1', 'payments', '--into', 'Live!']],
  ['no label', ['as-of', '1', 'payments']],
  ['a time without a zone', ['as-of', '2026-01-01T10:00', 'payments', '--into', 'x']],
  ['a time of the topics', ['as-of', '2026-01-01', 'payments', '--into', 'x', '--source', 'kafka']],
  ['no read model', ['as-of', '1', '--into', 'x']],
] as const)('refuses %s', async (_, args) => expect((await replay(...args)).code).toBe(exitCodes.usage))
