import { spawn } from 'node:child_process'
import path from 'node:path'
import { beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { RecordedEvent } from '@annals/contracts'
import { testScope, type TestDatabase, type TestEventStore } from '@annals/platform/testing'
import { payments, paymentHistory, paymentTotals } from '../../src/projections'
import { exitCodes } from '../../src/replay/exit-code'
import { projectionDatabase } from '../support/database'
import type { PaymentFacts } from '../support/facts'
import { openOwnLog, type OwnLog } from '../support/own-log'
import { createReadModels } from '../support/read-models'

// Every step is a process.
jest.setTimeout(60_000)

const cli = path.join(__dirname, '../../dist/replay/main.js')

const scope = testScope('file')
let database: TestDatabase
/** A drift check goes through all that a log holds: what other tests wrote would be missing. */
let store: TestEventStore
let own: OwnLog
let paid: PaymentFacts[]
let events: RecordedEvent[]
beforeAll(async () => {
  database = await scope.database(projectionDatabase)
  store = await scope.eventStore()
  own = await openOwnLog(scope, undefined, store.url)
  ;({ payments: paid, events } = await own.pay(4))
  const broken = {
    ...payments,
    on: {
      ...payments.on,
      'payment.process_started': () => {
        throw new Error('the attempt has no gateway')
      },
    },
  }
  await (await createReadModels(database.pool, [broken, paymentHistory, paymentTotals])).feed(events)
})

function replay(...args: string[]): Promise<{ code: number | null; output: string }> {
  const env = {
    ...process.env,
    EVENTSTORE_URL: store.url,
    PROJECTION_DATABASE_URL: database.url,
    NODE_ENV: undefined,
  }
  const child = spawn(process.execPath, [cli, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })))
}

describe('the replay CLI, for operators', () => {
  it('lists and shows what is parked', async () => {
    const { stream } = paid[0]!
    const list = await replay('parked', 'list', 'payments')
    expect(list).toMatchObject({ code: exitCodes.done })
    expect(list.output.match(/the attempt has no gateway/g)).toHaveLength(4)
    const show = await replay('parked', 'show', stream)
    expect(show).toMatchObject({ code: exitCodes.done, output: expect.stringMatching(/waiting {3}revision 2/) })
    expect(show.output).toMatch(/Error: the attempt has no gateway\n +at /)
    expect(await replay('parked', 'show', 'payment-none')).toEqual({
      code: exitCodes.usage,
      output: 'nothing of payment-none is parked\n',
    })
  })

  it('drops with a reason, and refuses to without', async () => {
    const { stream } = paid[0]!
    const without = await replay('parked', 'drop', 'payments', stream)
    expect(without).toMatchObject({ code: exitCodes.usage, output: expect.stringMatching(/--reason/) })
    expect(await replay('parked', 'drop', 'payments', stream, '--reason', ' ')).toMatchObject({ code: exitCodes.usage })
    const dropped = await replay(
      'parked',
      'drop',
      'payments',
      stream,
      '--reason',
      'a payment gateway that is gone',
      '--as',
      'ada',
    )
    expect(dropped).toMatchObject({
      code: exitCodes.done,
      output: expect.stringMatching(/by ada; 1 applied behind it/),
    })
    const again = await replay('parked', 'drop', 'payments', stream, '--reason', 'twice')
    expect(again).toMatchObject({ code: exitCodes.usage, output: expect.stringMatching(/nothing of .* is parked/) })
  })

  it('retries with the rule of this release, and keeps a log of who did what', async () => {
    const retried = await replay('parked', 'retry', 'payments')
    expect(retried).toMatchObject({ code: exitCodes.done })
    expect(retried.output.match(/2 applied/g)).toHaveLength(3)
    const log = JSON.parse((await replay('parked', 'log', 'payments', '--json')).output) as Record<string, unknown>[]
    expect(log.map(({ action }) => action)).toEqual(['retry', 'retry', 'retry', 'retry', 'drop'])
    expect(log.at(-1)).toMatchObject({ actor: 'ada', reason: 'a payment gateway that is gone' })
    expect(log[0]!['actor']).toMatch(/^[^@]+@.+/)
  })

  it('checks for drift, tells rows and columns, and exits with 3 when something differs; refolds what does', async () => {
    const { stream, paymentId } = paid[1]!
    expect(await replay('drift', '--all')).toMatchObject({
      code: exitCodes.done,
      output: expect.stringMatching(/payments +4 streams compared, 0 differ/),
    })
    await database.pool.query(`update payments.payment set status = 'failed' where payment_id = $1`, [paymentId])
    const found = await replay('drift', 'payments', '--streams', '100')
    expect(found).toEqual({
      code: exitCodes.notEqual,
      output:
        'payments         4 streams compared, 1 differs\n' +
        '  12 events of the log searched for missing streams\n' +
        `  ${stream}\n    ${paymentId}: status\n`,
    })
    const mended = await replay('refold', 'payments', stream)
    expect(mended).toMatchObject({
      code: exitCodes.done,
      output: expect.stringMatching(/3 events\n {2}corrected .*: status/),
    })
    expect(await replay('drift', 'payments')).toMatchObject({ code: exitCodes.done })
  })

  it('says what a row of many streams needs instead', async () => {
    const refold = await replay('refold', 'payment_totals', paid[0]!.stream)
    expect(refold).toMatchObject({ code: exitCodes.usage, output: expect.stringMatching(/replay payment_totals/) })
    const check = await replay('drift', 'payment_totals')
    expect(check).toMatchObject({ code: exitCodes.done, output: expect.stringMatching(/by their revisions only/) })
    expect(await replay('drift')).toMatchObject({ code: exitCodes.usage })
  })
})
