import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import { startTestEventStore, type TestEventStore } from '@annals/platform/testing'
import { readGolden } from '../../../checks/contracts/released.mjs'

jest.setTimeout(60_000)

const program = join(__dirname, '../../../commands/contracts.mjs')
const golden = (name: string) => readGolden().find((one) => one.name === name)!.example.recorded

let store: TestEventStore
let log: EventLog
beforeAll(async () => {
  store = await startTestEventStore()
  log = createEventLog(store.url, createLogger('test', 'silent'))
})
afterAll(async () => {
  await log.close()
  await store.remove()
})

const check = (...args: string[]) => {
  const env = { ...process.env, EVENTSTORE_URL: store.url, ANNALS_PROFILE: 'never-started', MASTER_KEY: '' }
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'check', ...args], { env, encoding: 'utf8' })
  return { code: status, output: stdout + stderr }
}

it('a log that this release can read passes, and one event that it can not is found', async () => {
  const created = golden('payment.created.v1.json')
  await log.append(created.stream, [created], -1)
  const passed = check('--log', '--sample', '100')
  expect(passed.output).toContain('1 stream with 1 event: all decode and fold. (no access to keys')
  expect(passed.code).toBe(0)

  const processed = golden('payment.processed.v1.json')
  await log.append('payment-without-a-beginning', [processed], -1)
  const failed = check('--log', '--sample', '100')
  expect(failed.output).toContain(
    'payment-without-a-beginning revision 0, payment.processed: projection payments refuses',
  )
  expect(failed.code).toBe(1)
  expect(check().code).toBe(0)
})
