import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { streamOf } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { newId } from '@annals/platform/ids'
import { testScope } from '@annals/platform/testing'
import { grantRole, userDecider } from '../../../src/accounts/domain/user'
import { createExecute } from '../../../src/core/execute'
import { commandDatabase, silent } from '../../support/database'
import { nobodysKeys } from '../../support/keys'
import {
  logIn,
  somebody,
  startTestService,
  testEnvironment,
  type Person,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
let service: TestService
let log: EventLog

beforeAll(async () => {
  const { url } = await scope.database(commandDatabase)
  const environment = testEnvironment({ COMMAND_DATABASE_URL: url, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
})

const mine = '/api/v1/users/me/sessions'
const codeOf = async ({ token }: Person) =>
  (await service.get('/api/v1/auth/validate', { token })).body.code as string | undefined
const end = async (path: string, { token }: Person) => {
  const { status, body } = await service.delete(path, { token })
  return [status, body.code]
}
const typesOf = async (stream: string) => (await log.readStream(stream)).map(({ type }) => type)

/** Somebody with a role, whose token says so. */
async function holderOf(role: string): Promise<Person> {
  const { email, userId } = await somebody(service)
  const observe = { append: () => undefined, conflict: () => undefined }
  const execute = createExecute({ log, keys: nobodysKeys, tenant: 'main', observe })
  const commandId = newId()
  await execute(userDecider, {
    stream: streamOf.user(userId),
    context: {
      commandId,
      correlationId: commandId,
      causationId: commandId,
      actor: { type: 'system', id: 'test' },
      occurredAt: new Date().toISOString(),
    },
    decide: grantRole({ role }),
  })
  return logIn(service, email)
}

describe('one of one’s own sessions', () => {
  it('ends, once, and no other', async () => {
    const here = await somebody(service)
    const there = await logIn(service, here.email)
    expect(await end(`${mine}/${there.sessionId}`, here)).toEqual([204, undefined])
    expect(await end(`${mine}/${there.sessionId}`, here)).toEqual([204, undefined])
    expect([await codeOf(here), await codeOf(there)]).toEqual([undefined, 'session-ended'])
    expect(await typesOf(streamOf.session(there.sessionId))).toEqual(['user.login', 'session.ended'])
  })

  it('may be the one at hand', async () => {
    const here = await somebody(service)
    expect(await end(`${mine}/${here.sessionId}`, here)).toEqual([204, undefined])
    expect(await codeOf(here)).toBe('session-ended')
  })

  it('is nobody else’s: theirs are as if they were not there', async () => {
    const [anna, bert] = [await somebody(service), await somebody(service)]
    expect(await end(`${mine}/${bert.sessionId}`, anna)).toEqual([404, 'session-not-found'])
    expect(await end(`${mine}/${randomUUID()}`, anna)).toEqual([404, 'session-not-found'])
    expect(await end(`${mine}/nonsense`, anna)).toEqual([400, 'invalid-request'])
    expect(await codeOf(bert)).toBeUndefined()
  })
})

describe('all other sessions of one’s own', () => {
  it('end, and cannot be refreshed; the one at hand goes on and can', async () => {
    const first = await somebody(service)
    const [second, here] = [await logIn(service, first.email), await logIn(service, first.email)]
    expect(await end(`${mine}?except=current`, here)).toEqual([204, undefined])
    expect(await Promise.all([first, second, here].map(codeOf))).toEqual(['session-ended', 'session-ended', undefined])
    const refresh = ({ refreshToken }: Person) => service.post('/api/v1/auth/refresh', { body: { refreshToken } })
    expect((await refresh(first)).status).toBe(401)
    expect((await refresh(here)).status).toBe(200)
    expect(await codeOf(await logIn(service, first.email))).toBeUndefined()
  })

  it('are not ended by a request that does not say which stays', async () => {
    const here = await somebody(service)
    for (const path of [mine, `${mine}?except=none`, `${mine}?except=current&x=1`])
      expect(await end(path, here)).toEqual([400, 'invalid-request'])
    expect(await codeOf(here)).toBeUndefined()
  })
})

describe('all sessions of somebody', () => {
  it('are ended by whoever may, and by nobody else', async () => {
    const [anna, bert, support] = [await somebody(service), await somebody(service), await holderOf('support')]
    const second = await logIn(service, anna.email)
    const path = `/api/v1/users/${anna.userId}/sessions`
    for (const caller of [bert, anna, await holderOf('auditor'), await holderOf('finance')])
      expect(await end(path, caller)).toEqual([403, 'forbidden'])
    expect(await codeOf(anna)).toBeUndefined()
    expect(await end(path, support)).toEqual([204, undefined])
    expect(await Promise.all([anna, second].map(codeOf))).toEqual(['session-ended', 'session-ended'])
    const last = (await log.readStream(streamOf.user(anna.userId))).at(-1)!
    expect(last.metadata).toMatchObject({ actor: { type: 'user', id: support.userId } })
  })

  it('of nobody are none', async () => {
    const support = await holderOf('support')
    expect(await end(`/api/v1/users/${randomUUID()}/sessions`, support)).toEqual([404, 'user-not-found'])
  })
})
