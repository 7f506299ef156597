import { beforeAll, describe, expect, it } from '@jest/globals'
import { streamOf, type EventType } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { newId } from '@annals/platform/ids'
import { createRedis, type Redis } from '@annals/platform/redis'
import { revocationMarkMs } from '@annals/platform/revocation'
import { eventually, testScope } from '@annals/platform/testing'
import { defineRole, roleDecider } from '../../../src/accounts/domain/role'
import {
  disable,
  enable,
  endSessions,
  grantRole,
  userDecider,
  type UserEventType,
} from '../../../src/accounts/domain/user'
import { createClaimsCheck } from '../../../src/accounts/role-permissions'
import type { Decider, Decision } from '../../../src/core/decider'
import { createExecute, type ChangeWatch } from '../../../src/core/execute'
import { end, sessionDecider } from '../../../src/sessions/domain/session'
import { createRevocations } from '../../../src/sessions/revocations'
import { layWire } from '../../support/cuttable-wire'
import { commandDatabase, silent } from '../../support/database'
import { nobodysKeys } from '../../support/keys'
import {
  logIn,
  somebody,
  startTestService,
  testEnvironment,
  type Environment,
  type Person,
  type TestService,
} from '../../support/service'

/** What is promised: a token stops within this time, whatever Redis does. */
const boundMs = 2_000

const scope = testScope('file')
let environment: Environment
let service: TestService
let log: EventLog
let redis: Redis

beforeAll(async () => {
  const { url } = await scope.database(commandDatabase)
  environment = testEnvironment({ COMMAND_DATABASE_URL: url, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
  // A numbered database of its own: what other tests do to Redis is not met here.
  environment['REDIS_URL'] = `${environment['REDIS_URL']}/9`
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  redis = scope.add(createRedis(environment['REDIS_URL'], silent), (it) => it.disconnect())
  await eventually(() => expect(redis.status).toBe('ready'))
})

const observe = { append: () => undefined, conflict: () => undefined }

/** Commands of another process. @param watch `undefined`: one that is killed before it can tell Redis anything. */
function elsewhere(watch?: ChangeWatch) {
  const execute = createExecute({ log, keys: nobodysKeys, tenant: 'main', observe, ...(watch ? { watch } : {}) })
  const run = <State, T extends EventType>(decider: Decider<State, T>, stream: string, decide: Decision<State, T>) => {
    const commandId = newId()
    const ids = { commandId, correlationId: commandId, causationId: commandId }
    const actor = { type: 'system', id: 'test' } as const
    return execute(decider, { stream, context: { ...ids, actor, occurredAt: new Date().toISOString() }, decide })
  }
  return {
    account: (userId: string, decide: Decision<Parameters<typeof userDecider.evolve>[0], UserEventType>) =>
      run(userDecider, streamOf.user(userId), decide as never),
    role: (role: string, permissions: ('payments.read' | 'users.read')[]) =>
      run(roleDecider, streamOf.role(role), defineRole({ role, permissions, description: 'a test' }) as never),
    endSession: (sessionId: string) =>
      run(sessionDecider, streamOf.session(sessionId), end({ reason: 'owner' }) as never),
  }
}

/** The revocations of another process, over a connection of its own. */
function otherRevocations(through: Redis) {
  const { load } = createExecute({ log, keys: nobodysKeys, tenant: 'main', observe })
  return scope.add(
    createRevocations({
      redis: through,
      load,
      claimsOnlyPermitted: createClaimsCheck({ load }),
      eventLog: log,
      log: silent,
      markMs: revocationMarkMs(900),
      onSkipped: () => undefined,
    }),
    (it) => it.close(),
  )
}

const at = () => new Date().toISOString()
const everySession = () => endSessions({ exceptSessionId: null, by: 'owner', at: at() })
const codeOf = async ({ token }: Pick<Person, 'token'>, through = service) =>
  (await through.get('/api/v1/auth/validate', { token })).body.code as string | undefined
/** Redis has been told of everything, and is asked alone. */
const whenComplete = () =>
  eventually(
    async () => {
      const anybody = await somebody(service)
      expect(await codeOf(anybody)).toBeUndefined()
      expect(await redis.exists('revoked:memory')).toBe(1)
    },
    { withinMs: 180_000 },
  )

describe('what becomes of an account', () => {
  beforeAll(() => whenComplete(), 200_000)

  it('ends its sessions on other processes: those of former epochs, but the one that goes on', async () => {
    const { account } = elsewhere(otherRevocations(redis))
    const first = await somebody(service)
    const second = await logIn(service, first.email)
    await account(first.userId, endSessions({ exceptSessionId: second.sessionId, by: 'owner', at: at() }))
    expect([await codeOf(first), await codeOf(second)]).toEqual(['session-ended', undefined])
    expect((await service.post('/api/v1/auth/refresh', { body: { refreshToken: first.refreshToken } })).status).toBe(
      401,
    )
    expect(await codeOf(await logIn(service, first.email))).toBeUndefined()
  })

  it('stops all tokens when it is disabled, and lets in those of a later login', async () => {
    const { account } = elsewhere(otherRevocations(redis))
    const anna = await somebody(service)
    await account(anna.userId, disable({ reason: 'administrator' }))
    expect(await codeOf(anna)).toBe('session-ended')
    await account(anna.userId, enable())
    expect(await codeOf(anna)).toBe('session-ended')
    expect(await codeOf(await logIn(service, anna.email))).toBeUndefined()
  })

  it('stops tokens that claim former roles, and a refresh mends it', async () => {
    const { account } = elsewhere(otherRevocations(redis))
    const anna = await somebody(service)
    await account(anna.userId, grantRole({ role: 'auditor' }))
    expect(await codeOf(anna)).toBe('unauthenticated')
    const { body } = await service.post('/api/v1/auth/refresh', { body: { refreshToken: anna.refreshToken } })
    const { body: now } = await service.get('/api/v1/auth/validate', { token: body.accessToken })
    expect(now).toMatchObject({ active: true, roles: ['user', 'auditor'] })
  })

  it('is felt within the bound when what a role permits is changed', async () => {
    const { account, role } = elsewhere(otherRevocations(redis))
    const name = `r${newId().slice(0, 8)}`
    await role(name, ['payments.read', 'users.read'])
    const { email, userId } = await somebody(service)
    await account(userId, grantRole({ role: name }))
    const anna = await logIn(service, email)
    expect(await codeOf(anna)).toBeUndefined()
    await role(name, ['users.read'])
    await eventually(async () => expect(await codeOf(anna)).toBe('unauthenticated'), { withinMs: boundMs })
    expect(await codeOf(await logIn(service, email))).toBeUndefined()
  })
})

describe('a process that is killed', () => {
  beforeAll(() => whenComplete(), 200_000)

  it('after the fact and before its mark leaves nobody in', async () => {
    const dying = otherRevocations(redis)
    // The fact is recorded; what would be told of it after that never is.
    const { account, endSession } = elsewhere({
      begin: async (change) => ((await dying.begin(change)) ? async () => undefined : undefined),
    })
    const [anna, bert, carl] = [await somebody(service), await somebody(service), await somebody(service)]
    await account(anna.userId, disable({ reason: 'administrator' }))
    await account(bert.userId, everySession())
    await endSession(carl.sessionId)
    for (const person of [anna, bert, carl]) expect(await codeOf(person)).toBe('session-ended')
  })

  it('before the fact leaves everybody in', async () => {
    const dying = otherRevocations(redis)
    const anna = await somebody(service)
    const { account } = elsewhere({
      async begin(change) {
        await dying.begin(change)
        throw new Error('killed')
      },
    })
    await expect(account(anna.userId, everySession())).rejects.toThrow('killed')
    expect(await codeOf(anna)).toBeUndefined()
    expect(await codeOf(await logIn(service, anna.email))).toBeUndefined()
  })

  it('while Redis did not hear it, is made up for by the next that starts', async () => {
    const { account, endSession } = elsewhere()
    const [anna, carl] = [await somebody(service), await somebody(service)]
    await account(anna.userId, disable({ reason: 'administrator' }))
    await endSession(carl.sessionId)
    const next = await startTestService(scope, environment)
    await eventually(
      async () => {
        for (const person of [anna, carl]) expect(await codeOf(person, next)).toBe('session-ended')
      },
      { withinMs: 150_000 },
    )
    await next.close()
  }, 200_000)
})

describe('while Redis', () => {
  it('is away, the log tells what has become of an account, and Redis learns of it when it is back', async () => {
    await whenComplete()
    const wire = await layWire(scope, environment['REDIS_URL']!)
    const cut = await startTestService(scope, { ...environment, REDIS_URL: wire.url })
    const through = scope.add(createRedis(wire.url, silent), (it) => it.disconnect())
    const { account } = elsewhere(otherRevocations(through))
    const anna = await somebody(cut)
    expect(await codeOf(anna, cut)).toBeUndefined()
    wire.cut()
    const startedAt = Date.now()
    await account(anna.userId, disable({ reason: 'administrator' }))
    await eventually(async () => expect(await codeOf(anna, cut)).toBe('session-ended'), { withinMs: boundMs })
    expect(Date.now() - startedAt).toBeLessThan(boundMs + 1_000)
    // The other process asks Redis alone, which learns of it now.
    wire.mend()
    await eventually(async () => expect(await codeOf(anna)).toBe('session-ended'), { withinMs: 10_000 })
  }, 200_000)

  it('is frozen, tokens stop all the same', async () => {
    const wire = await layWire(scope, environment['REDIS_URL']!)
    const behind = await startTestService(scope, { ...environment, REDIS_URL: wire.url })
    const through = scope.add(createRedis(wire.url, silent), (it) => it.disconnect())
    const { account } = elsewhere(otherRevocations(through))
    const anna = await somebody(behind)
    await eventually(() => expect(through.status).toBe('ready'))
    wire.freeze()
    await account(anna.userId, disable({ reason: 'administrator' }))
    await eventually(async () => expect(await codeOf(anna, behind)).toBe('session-ended'), { withinMs: boundMs })
  })
})
