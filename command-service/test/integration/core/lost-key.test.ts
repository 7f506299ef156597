import { randomUUID } from 'node:crypto'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type Pool } from '@annals/platform/postgres'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { commandDatabase } from '../../support/database'
import {
  aPayment,
  logIn,
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
let pool: Pool
let environment: Environment
let before: TestService
/** A process that has no key in its cache. */
let service: TestService
let anna: Person
let berta: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  ;({ pool } = database)
  environment = testEnvironment({ COMMAND_DATABASE_URL: database.url, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
  before = await startTestService(scope, environment)
  berta = await somebody(before)
})
beforeEach(async () => {
  anna = await somebody(before)
  service = await startTestService(scope, environment)
})
afterEach(() => service.close())

/** Takes a person's row out of the key table, or all rows. @returns what puts them back. */
async function lose(person?: Person): Promise<() => Promise<void>> {
  const { rows } = await pool.query('delete from subject_key where subject = $1 or $1 is null returning *', [
    person?.userId,
  ])
  return async () => {
    for (const { tenant, subject, wrapped_key, master_key_id } of rows)
      await pool.query(
        'insert into subject_key (tenant, subject, wrapped_key, master_key_id) values ($1, $2, $3, $4)',
        [tenant, subject, wrapped_key, master_key_id],
      )
  }
}
const keysOf = async ({ userId }: Person) =>
  (await pool.query('select from subject_key where subject = $1', [userId])).rowCount
const login = ({ email }: Person) => service.post('/api/v1/auth/login', { body: { email, password } })
const register = ({ email }: Person) =>
  service.post('/api/v1/auth/register', { body: { email, password, name: 'Another' } })
const pay = ({ token }: Person, body: unknown = aPayment()) =>
  service.post('/api/v1/payments', { token, body, headers: { 'idempotency-key': randomUUID() } })

describe('a person whose row in the key table was lost', () => {
  it('is told so at the login, as a problem that names who mends it', async () => {
    const putBack = await lose(anna)
    const { status, body, headers } = await login(anna)
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'personal-data-locked', '60'])
    expect(body.detail).toMatch(/operator/)
    await putBack()
    expect((await login(anna)).status).toBe(200)
  })

  it('keeps the address: a new registration with it is refused as any other', async () => {
    await lose(anna)
    const { status, body } = await register(anna)
    expect([status, body.code]).toEqual([409, 'email-taken'])
  })

  it('gets no second key: what would have to be sealed is refused, and nothing is written', async () => {
    const putBack = await lose(anna)
    const { status, body } = await pay(anna)
    expect([status, body.code]).toEqual([503, 'personal-data-locked'])
    expect(await keysOf(anna)).toBe(0)
    await putBack()
    expect((await pay(anna)).status).toBe(201)
  })

  it('goes on with all that hides nothing: refresh, logout, a payment without description', async () => {
    await lose(anna)
    const { description: _, ...plain } = aPayment()
    expect((await pay(anna, plain)).status).toBe(201)
    expect((await service.post('/api/v1/auth/refresh', { body: { refreshToken: anna.refreshToken } })).status).toBe(200)
    expect((await service.post('/api/v1/auth/logout', { token: anna.token })).status).toBe(204)
  })

  it('is counted, and touches nobody else', async () => {
    await lose(anna)
    await login(anna)
    await pay(anna)
    expect(await service.metrics()).toMatch(/annals_subject_keys_missing_total\{service="command-service"\} 2/)
    expect((await login(berta)).status).toBe(200)
    expect((await pay(berta)).status).toBe(201)
    expect((await logIn(service, (await somebody(service)).email)).userId).toBeDefined()
  })
})

describe('a key table without any row', () => {
  it('logs nobody in and makes no key for anybody who has events', async () => {
    const putBack = await lose()
    try {
      for (const person of [anna, berta]) {
        expect((await login(person)).body.code).toBe('dependency-unavailable')
        expect((await pay(person)).body.code).toBe('personal-data-locked')
        expect(await keysOf(person)).toBe(0)
      }
      expect((await register(anna)).body.code).toBe('email-taken')
    } finally {
      await putBack()
    }
    expect((await login(anna)).status).toBe(200)
  })
})
