import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import type { Principal } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { masterKeysOf } from '@annals/platform/subject-keys'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { createChallenges } from '../../../src/accounts/challenges'
import { commonPasswords } from '../../../src/accounts/common-passwords'
import { createAddressHash } from '../../../src/accounts/commands/registration'
import { createOwnerCommands } from '../../../src/accounts/owner-commands'
import { peppersOf } from '../../../src/accounts/password-forms'
import { createPasswords } from '../../../src/accounts/passwords'
import { createExecute } from '../../../src/core/execute'
import { createInFlight } from '../../../src/core/in-flight'
import { createKeyWriter } from '../../../src/core/key-writer'
import { challengesOf, secretsOf, undoOf } from '../../support/challenges'
import { commandDatabase, silent } from '../../support/database'
import { Killed, killedAt } from '../../support/killed'
import {
  newEmail,
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
let service: TestService
let log: EventLog

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    TRUSTED_PROXIES: '127.0.0.1',
  })
  service = await startTestService(scope, environment, { BCRYPT_COST: 4 })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
})

const key = (name: string) => Buffer.from(environment[name]!, 'base64')

/** The commands of a process, on a log of its own. */
function commandsOn(ownLog: EventLog) {
  const tenant = 'main'
  const keys = createKeyWriter({
    pool: database.pool,
    masters: masterKeysOf([key('MASTER_KEY')]),
    secretMasters: masterKeysOf([key('SECRETS_MASTER_KEY')]),
    log: ownLog,
  })
  const observe = { append: () => undefined, conflict: () => undefined }
  const execute = createExecute({ log: ownLog, keys, tenant, observe })
  return createOwnerCommands({
    execute,
    keys,
    tenant,
    log: silent,
    now: () => new Date().toISOString(),
    inFlight: createInFlight({ max: 10, purposeMax: 10, principalMax: 10 }),
    challenges: createChallenges({ execute, keys, secrets: secretsOf(environment), tenant }),
    addressHash: createAddressHash(key('RESERVATION_KEY'), tenant),
    passwords: createPasswords({ cost: 4, peppers: peppersOf([key('PASSWORD_PEPPER')]), concurrency: 1, queueMax: 10 }),
    commonPasswords,
    checkPassword: async () => undefined,
    countAttempt: async () => ({ isAllowed: true, standings: [], giveBack: nothing, forget: nothing }),
    acquaintances: { remember: nothing },
  })
}

const nothing = async () => undefined
const request = () => ({ correlationId: randomUUID(), idempotencyKey: undefined })
const principalOf = ({ userId, sessionId }: Person): Principal => ({
  userId,
  sessionId,
  roles: ['user'],
  permissions: [],
  epoch: 1,
  authenticatedAt: Math.floor(Date.now() / 1000),
  issuedAt: 0,
  expiresAt: 0,
})
const login = async (email: string, given = password) =>
  (
    await service.post('/api/v1/auth/login', {
      body: { email, password: given },
      headers: { 'x-forwarded-for': `2001:db8:${randomUUID().slice(0, 4)}::1` },
    })
  ).status
const register = async (email: string) =>
  (
    await service.post('/api/v1/auth/register', {
      body: { email, password, name: 'Another' },
      headers: { 'x-forwarded-for': `2001:db8:${randomUUID().slice(0, 4)}::1` },
    })
  ).status
const typesOf = async ({ userId }: Person) => (await log.readStream(`user-${userId}`)).map(({ type }) => type)

/** A kill, wherever it was met: a read that fails is wrapped. */
const killOf = (error: unknown): unknown => (error instanceof Error && error.cause !== undefined ? error.cause : error)

type Commands = ReturnType<typeof commandsOn>

/** Runs a command, killed at each of its appends in turn, before it and after it; then once more to its end. */
async function killedEverywhere(
  prepare: () => Promise<{ run: (on: Commands) => Promise<unknown>; check: () => Promise<void> }>,
) {
  let kills = 0
  for (const isAnswered of [false, true])
    for (let appends = 0; ; appends++) {
      const { run, check } = await prepare()
      const outcome = await run(commandsOn(killedAt(log, appends, isAnswered))).then(
        () => 'done',
        (error: unknown) => error,
      )
      if (outcome !== 'done') {
        expect(killOf(outcome)).toBeInstanceOf(Killed)
        kills++
        await run(commandsOn(log))
      }
      await check()
      if (outcome === 'done') break
    }
  return kills
}

describe('a process that is killed between the appends', () => {
  it('of a change of address leaves what the next attempt completes', async () => {
    const kills = await killedEverywhere(async () => {
      const anna = await somebody(service)
      const email = newEmail()
      const { challengeId } = await commandsOn(log).emailCommands.ask(request(), principalOf(anna), email)
      const given = { token: secretsOf(environment).tokenOf(challengeId) }
      return {
        run: (on) => on.emailCommands.confirm(request(), principalOf(anna), given),
        async check() {
          expect(await typesOf(anna)).toEqual(['user.registered', 'user.email_changed'])
          expect([await login(email), await login(anna.email), await register(anna.email)]).toEqual([200, 401, 409])
          expect(await log.readStream(`challenge-${await undoOf(log, anna.userId)}`)).toHaveLength(1)
        },
      }
    })
    // Answer, reservation, user, undo, release.
    expect(kills).toBe(10)
  }, 120_000)

  it('of an undo leaves what the next attempt completes', async () => {
    const kills = await killedEverywhere(async () => {
      const anna = await somebody(service)
      const email = newEmail()
      const { emailCommands } = commandsOn(log)
      const { challengeId } = await emailCommands.ask(request(), principalOf(anna), email)
      const secrets = secretsOf(environment)
      await emailCommands.confirm(request(), principalOf(anna), { token: secrets.tokenOf(challengeId) })
      const token = secrets.tokenOf(await undoOf(log, anna.userId))
      return {
        run: (on) => on.emailCommands.undo(request(), token, '192.0.2.1'),
        async check() {
          expect((await typesOf(anna)).slice(1)).toEqual([
            'user.email_changed',
            'user.email_changed',
            'user.sessions_ended',
          ])
          expect([await login(anna.email), await login(email), await register(email)]).toEqual([200, 401, 201])
          expect(await challengesOf(log, 'password-reset', anna.userId)).toHaveLength(1)
        },
      }
    })
    // Answer, reservation, user, release, the latest link, the link.
    expect(kills).toBe(12)
  }, 120_000)

  it('of a reset leaves the old password, or the new one', async () => {
    const wanted = 'quite another staple of horses'
    let refused = 0
    const kills = await killedEverywhere(async () => {
      const anna = await somebody(service)
      const on = commandsOn(log)
      on.forgottenPassword(request(), anna.email)
      await on.background.close()
      const [challengeId] = await challengesOf(log, 'password-reset', anna.userId)
      const token = secretsOf(environment).tokenOf(challengeId!)
      return {
        run: (process) =>
          process.passwordCommands
            .reset(request(), { token, password: wanted, ip: '192.0.2.1', userAgent: null })
            .catch((error) => {
              // It had taken effect when the process was killed: the link is used up, and the password is the new one.
              if (error?.code !== 'challenge-failed') throw error
              refused++
            }),
        async check() {
          expect((await typesOf(anna)).slice(1)).toEqual(['user.password_changed'])
          expect([await login(anna.email), await login(anna.email, wanted)]).toEqual([401, 200])
        },
      }
    })
    // Answer, credential, user.
    expect([kills, refused]).toEqual([6, 1])
  }, 120_000)
})
