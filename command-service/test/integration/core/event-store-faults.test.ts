import { randomUUID } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createEventLog } from '@annals/platform/event-log'
import { eventually, testScope, type TestDatabase, type TestEventStore } from '@annals/platform/testing'
import { commandDatabase, silent } from '../../support/database'
import {
  aPayment,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Person,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
let database: TestDatabase
let store: TestEventStore
let service: TestService
let anna: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  store = await scope.eventStore()
  service = await startTestService(
    scope,
    testEnvironment({
      COMMAND_DATABASE_URL: database.url,
      EVENTSTORE_URL: store.url,
      PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    }),
  )
  anna = await somebody(service)
})
afterEach(async () => {
  store.thaw()
})

const create = (key: string) =>
  service.post('/api/v1/payments', { token: anna.token, body: aPayment(), headers: { 'idempotency-key': key } })

async function eventsOf(paymentId: string) {
  const log = createEventLog(store.url, silent)
  try {
    return await log.readStream(`payment-${paymentId}`)
  } finally {
    await log.close()
  }
}

describe('while the event store is gone', () => {
  it('a command is answered 503, says that a repeat is safe, and its repeat succeeds when the store is back', async () => {
    const key = randomUUID()
    await store.kill()
    const { status, body, headers } = await create(key)
    expect([status, body.code]).toEqual([503, 'dependency-unavailable'])
    expect(body.detail).toContain('same Idempotency-Key')
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await service.isReady()).toBe(false)

    await store.start()
    const repeat = await eventually(async () => {
      const reply = await create(key)
      expect(reply.status).toBe(201)
      return reply
    })
    expect(await eventsOf(repeat.body.paymentId)).toHaveLength(1)
    await eventually(async () => expect(await service.isReady()).toBe(true))
  })

  it('nobody can log in or be refreshed, and says so with 503', async () => {
    await store.kill()
    const login = await service.post('/api/v1/auth/login', { body: { email: anna.email, password } })
    const refresh = await service.post('/api/v1/auth/refresh', { body: { refreshToken: anna.refreshToken } })
    expect([login.status, refresh.status]).toEqual([503, 503])
    await store.start()
    await eventually(async () => {
      const { status } = await service.post('/api/v1/auth/refresh', { body: { refreshToken: anna.refreshToken } })
      expect(status).toBe(200)
    })
  })

  it('nobody is locked out for having tried to log in all the while', async () => {
    const login = () => service.post('/api/v1/auth/login', { body: { email: anna.email, password } })
    await store.kill()
    // Two more than an address may try with a wrong password.
    for (let attempt = 1; attempt <= 12; attempt++) expect((await login()).status).toBe(503)
    await store.start()
    await eventually(async () => expect((await login()).status).toBe(200))
  })
})

describe('an event store that freezes', () => {
  it('keeps a command waiting for a bounded time, and the repeat after it finds one fact', async () => {
    const key = randomUUID()
    store.freeze()
    const startedAt = Date.now()
    const { status, body } = await create(key)
    expect([status, body.code]).toEqual([503, 'dependency-unavailable'])
    expect(Date.now() - startedAt).toBeLessThan(25_000)
    store.thaw()
    const repeat = await eventually(async () => {
      const reply = await create(key)
      expect(reply.status).toBe(201)
      return reply
    })
    expect(await eventsOf(repeat.body.paymentId)).toHaveLength(1)
  }, 60_000)
})

describe('an event store that is killed under load', () => {
  it('loses no acknowledged payment, doubles none, and ends no process of ours', async () => {
    const acknowledged = new Set<string>()
    const keys = Array.from({ length: 150 }, () => randomUUID())
    const untilDone = (key: string) =>
      eventually(
        async () => {
          const reply = await create(key)
          expect(reply.status).toBe(201)
          acknowledged.add(reply.body.paymentId)
        },
        { withinMs: 40_000 },
      )
    const work = Promise.all(keys.map(untilDone))
    for (let kill = 0; kill < 2; kill++) {
      const before = acknowledged.size
      await eventually(() => {
        if (acknowledged.size < Math.min(before + 15, keys.length)) throw new Error('not yet under load')
      })
      await store.kill()
      await store.start()
    }
    await work
    expect(acknowledged.size).toBe(keys.length)
    const log = createEventLog(store.url, silent)
    try {
      for (const paymentId of acknowledged) expect(await log.readStream(`payment-${paymentId}`)).toHaveLength(1)
    } finally {
      await log.close()
    }
  }, 90_000)
})
