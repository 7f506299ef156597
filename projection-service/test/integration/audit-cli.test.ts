import { execFile } from 'node:child_process'
import path from 'node:path'
import { beforeAll, expect, it, jest } from '@jest/globals'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { requireEnv, testScope, type TestDatabase, type TestEventStore } from '@annals/platform/testing'
import { createCatchUp } from '../../src/engine/live/catch-up'
import { audit } from '../../src/projections'
import { exitCodes } from '../../src/replay/exit-code'
import { projectionDatabase, silent } from '../support/database'
import { aPayment, opensNothing, paymentFacts } from '../support/facts'
import { createReadModels, nobody } from '../support/read-models'

// Some processes, perhaps on a busy machine.
jest.setTimeout(120_000)

const cli = path.join(__dirname, '../../dist/audit/main.js')

let store: TestEventStore
let log: EventLog
const scope = testScope('file')
let database: TestDatabase

beforeAll(async () => {
  store = await scope.eventStore()
  log = scope.add(createEventLog(store.url, silent), (it) => it.close())
  database = await scope.database(projectionDatabase)
})

const run = (...args: string[]) => {
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

it('says whether the audit trail is what the log says, with exit codes that scripts can use', async () => {
  const nothing = await run('verify')
  expect(nothing.output).toContain('audit is not installed yet')
  expect(nothing.code).toBe(exitCodes.usage)

  const models = await createReadModels(database.pool, [audit])
  const payment = aPayment()
  await log.append(payment.stream, paymentFacts(payment, 0n), -1)
  const events = []
  for await (const event of log.readAll({ after: undefined })) events.push(event)
  await models.feed(events)
  const deps = { pool: database.pool, openAll: opensNothing, log: silent, eventLog: log, observer: nobody }
  await createCatchUp([audit], deps).round()

  const whole = await run('verify')
  expect(whole.output).toMatch(
    /^3 entries compared with the log, all as the log says\n {2}the log holds no anchor of them\n {2}annals.payments\/\d ends at 3 {2}[0-9a-f]{64}\n$/,
  )
  expect(whole.code).toBe(exitCodes.done)

  await database.pool.query('delete from audit.entry where sequence = 2')
  const broken = await run('verify')
  expect(broken.output).toMatch(
    /3 entries compared with the log, 1 wrong\n {2}the log holds no anchor of them\n {2}annals.payments\/\d entry 2, event [0-9a-f-]{36}: missing\n/,
  )
  expect(broken.code).toBe(exitCodes.notEqual)
  const told = await run('verify', '--json')
  expect(JSON.parse(told.output)).toMatchObject({ wrong: 1, findings: [{ kind: 'missing', sequence: '2' }] })
  expect((await run('verify', '--nonsense')).code).toBe(exitCodes.usage)
})
