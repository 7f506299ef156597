import { beforeAll, describe, expect, it } from '@jest/globals'
import { streamOf } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { Scope } from '@annals/platform/process'
import { createRedis } from '@annals/platform/redis'
import { eventually, testScope } from '@annals/platform/testing'
import { createAddressHash } from '../../../src/accounts/commands/registration'
import { createExecute } from '../../../src/core/execute'
import { endSessionsOf } from '../../../src/operator/end-sessions'
import { grantRoleTo } from '../../../src/operator/grant-role'
import { openRevocations } from '../../../src/operator/revocations'
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

const scope = testScope('file')
let environment: Environment
let service: TestService
let log: EventLog

beforeAll(async () => {
  const { url } = await scope.database(commandDatabase)
  environment = testEnvironment({ COMMAND_DATABASE_URL: url, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
  // A numbered database of its own: what other tests do to Redis is not met here.
  environment['REDIS_URL'] = `${environment['REDIS_URL']}/8`
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  const redis = scope.add(createRedis(environment['REDIS_URL'], silent), (it) => it.disconnect())
  // Redis is asked alone from here on.
  await eventually(
    async () => {
      expect(await codeOf(await somebody(service))).toBeUndefined()
      expect(await redis.exists('revoked:memory')).toBe(1)
    },
    { withinMs: 180_000 },
  )
}, 200_000)

const codeOf = async ({ token }: Person, through = service) =>
  (await through.get('/api/v1/auth/validate', { token })).body.code as string | undefined

/** What the operator's process opens. @param redisUrl its way to Redis. */
async function operator(redisUrl = environment['REDIS_URL']!) {
  const own = scope.add(new Scope(silent), (it) => it.close())
  const redis = own.add('Redis', createRedis(redisUrl, silent), (it) => it.disconnect())
  const deps = {
    log,
    keys: nobodysKeys,
    tenant: 'main',
    observe: { append: () => undefined, conflict: () => undefined },
  }
  const { load } = createExecute(deps)
  const config = { ACCESS_TOKEN_SECONDS: 900 }
  const revocations = await openRevocations(own, { redis, load, eventLog: log, log: silent, config })
  return {
    execute: createExecute({ ...deps, watch: revocations }),
    addressHash: createAddressHash(Buffer.from(environment['RESERVATION_KEY']!, 'base64'), 'main'),
    told: revocations.told,
    by: { operator: 'olga', at: new Date().toISOString() },
  }
}

describe('an operator', () => {
  it('ends all sessions of somebody, by address or id, and their tokens stop', async () => {
    const { execute, addressHash, told, by } = await operator()
    for (const name of ['email', 'userId'] as const) {
      const first = await somebody(service)
      const second = await logIn(service, first.email)
      expect(await endSessionsOf(execute, addressHash, { who: first[name], ...by })).toBe(first.userId)
      await told()
      expect([await codeOf(first), await codeOf(second)]).toEqual(['session-ended', 'session-ended'])
      expect(await codeOf(await logIn(service, first.email))).toBeUndefined()
      const last = (await log.readStream(streamOf.user(first.userId))).at(-1)!
      expect(last.metadata).toMatchObject({ actor: { type: 'operator', id: 'olga' } })
    }
  })

  it('is told that there is nobody of a name', async () => {
    const { execute, addressHash, by } = await operator()
    const nobody = { who: 'nobody@example.org', ...by }
    await expect(endSessionsOf(execute, addressHash, nobody)).rejects.toMatchObject({ code: 'user-not-found' })
  })

  it('grants a role, and tokens without it are refused', async () => {
    const { execute, addressHash, told, by } = await operator()
    const anna = await somebody(service)
    await grantRoleTo(execute, addressHash, { who: anna.email, role: 'finance', ...by })
    await told()
    expect(await codeOf(anna)).toBe('unauthenticated')
  })

  it('is told when Redis has not heard of it, and the next command API that starts tells Redis', async () => {
    const wire = await layWire(scope, environment['REDIS_URL']!)
    wire.cut()
    const { execute, addressHash, told, by } = await operator(wire.url)
    const anna = await somebody(service)
    await endSessionsOf(execute, addressHash, { who: anna.userId, ...by })
    await expect(told()).rejects.toThrow('Redis does not answer')
    const next = await startTestService(scope, environment)
    await eventually(async () => expect(await codeOf(anna)).toBe('session-ended'), { withinMs: 150_000 })
    await next.close()
  }, 200_000)
})
