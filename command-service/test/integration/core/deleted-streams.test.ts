import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { EventStoreDBClient } from '@eventstore/db-client'
import { commandDatabase } from '../../support/database'
import { startTestPaymentGateway, type TestPaymentGateway } from '../../support/payment-gateway'
import {
  aPayment,
  logIn,
  newPayment,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Environment,
  type Person,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
let database: TestDatabase
let environment: Environment
let paymentGateway: TestPaymentGateway
let service: TestService
/** Whoever keeps the log, with a client of their own. */
let keeper: EventStoreDBClient
let anna: Person
let berta: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  paymentGateway = await startTestPaymentGateway(scope)
  environment = testEnvironment({ COMMAND_DATABASE_URL: database.url, PAYMENT_GATEWAY_URL: paymentGateway.url })
  service = await startTestService(scope, environment)
  keeper = scope.add(EventStoreDBClient.connectionString(environment['EVENTSTORE_URL']!), (it) => it.dispose())
  berta = await somebody(service)
})
beforeEach(async () => {
  anna = await somebody(service)
})

const process = (paymentId: string, { token }: Person) =>
  service.post(`/api/v1/payments/${paymentId}/process`, { token })
const login = ({ email }: Person) => service.post('/api/v1/auth/login', { body: { email, password } })
const refresh = ({ refreshToken }: Person) => service.post('/api/v1/auth/refresh', { body: { refreshToken } })
const register = ({ email }: Person) =>
  service.post('/api/v1/auth/register', { body: { email, password, name: 'Another' } })

async function othersGoOn() {
  expect((await login(berta)).status).toBe(200)
  const paymentId = await newPayment(service, berta)
  expect((await process(paymentId, berta)).body.status).toBe('completed')
}

describe('a stream that was deleted for good', () => {
  it('of a payment: 410 for that payment, also when its creation is repeated', async () => {
    const key = { 'idempotency-key': randomUUID() }
    const create = () => service.post('/api/v1/payments', { token: anna.token, body: aPayment(), headers: key })
    const { paymentId } = (await create()).body
    const other = await newPayment(service, anna)
    await keeper.tombstoneStream(`payment-${paymentId}`)
    for (const { status, body } of [await process(paymentId, anna), await create()])
      expect([status, body.code]).toEqual([410, 'deleted'])
    expect((await process(other, anna)).body.status).toBe('completed')
    await othersGoOn()
  })

  it('of a user: 410 at login, refresh and registration', async () => {
    const { refreshToken } = await logIn(service, anna.email)
    await keeper.tombstoneStream(`user-${anna.userId}`)
    for (const { status, body } of [await login(anna), await refresh({ ...anna, refreshToken }), await register(anna)])
      expect([status, body.code]).toEqual([410, 'deleted'])
    await othersGoOn()
  })

  it('of a session: 410 at refresh and logout', async () => {
    await keeper.tombstoneStream(`session-${anna.sessionId}`)
    const logout = await service.post('/api/v1/auth/logout', { token: anna.token })
    for (const { status, body } of [await refresh(anna), logout]) expect([status, body.code]).toEqual([410, 'deleted'])
    expect((await login(anna)).status).toBe(200)
    await othersGoOn()
  })
})

describe('a stream that was deleted softly', () => {
  it('of a payment: it is not found', async () => {
    const paymentId = await newPayment(service, anna)
    await keeper.deleteStream(`payment-${paymentId}`)
    const { status, body } = await process(paymentId, anna)
    expect([status, body.code]).toEqual([404, 'payment-not-found'])
    await othersGoOn()
  })

  it('of a user or a session: nobody who could log in, no session to go on with', async () => {
    await keeper.deleteStream(`user-${anna.userId}`)
    expect((await login(anna)).body.code).toBe('invalid-credentials')
    expect((await refresh(anna)).body.code).toBe('session-ended')
    const { sessionId, refreshToken } = await logIn(service, berta.email)
    await keeper.deleteStream(`session-${sessionId}`)
    expect((await refresh({ ...berta, refreshToken })).body.code).toBe('invalid-refresh-token')
    await othersGoOn()
  })
})
