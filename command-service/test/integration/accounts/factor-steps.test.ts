import { randomBytes, randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { streamOf, type Principal, type UserId } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { createPool, type Pool } from '@annals/platform/postgres'
import { masterKeysOf } from '@annals/platform/subject-keys'
import { requireEnv, testScope } from '@annals/platform/testing'
import { createChallengeSecrets } from '../../../src/accounts/challenge-secrets'
import { createChallenges } from '../../../src/accounts/challenges'
import { codesAskedMax } from '../../../src/accounts/domain/ceremony'
import { guessesMax } from '../../../src/accounts/domain/challenge'
import { register, userDecider, type Account } from '../../../src/accounts/domain/user'
import { createFactors } from '../../../src/accounts/factors/factors'
import type { CommandContext } from '../../../src/core/command-context'
import { createExecute, type Execute } from '../../../src/core/execute'
import { createInFlight } from '../../../src/core/in-flight'
import { createKeyWriter, type KeyWriter } from '../../../src/core/key-writer'
import { Authenticator } from '../../support/authenticator'
import { commandDatabase, silent } from '../../support/database'
import { totpCode } from '../../support/factors'

// What the API's throttle hides: attempts that are all judged, and commands that end after any of their appends.

const scope = testScope('file')
const key = randomBytes(32)
const tenant = 'main'
let pool: Pool
let log: EventLog
let keys: KeyWriter
let execute: Execute
const secrets = createChallengeSecrets(key, tenant)
const [masters, secretMasters] = [masterKeysOf([randomBytes(32)]), masterKeysOf([randomBytes(32)])]

beforeAll(async () => {
  const database = await scope.database(commandDatabase)
  pool = scope.add(createPool(database.url, silent, 10), (it) => it.end())
  log = scope.add(createEventLog(requireEnv('EVENTSTORE_URL'), silent), (it) => it.close())
  keys = createKeyWriter({ pool, masters, secretMasters, log })
  execute = createExecute({ log, keys, tenant, observe: { append: () => undefined, conflict: () => undefined } })
})

const now = () => new Date().toISOString()
const free = async () => ({
  isAllowed: true as const,
  giveBack: async () => undefined,
  forget: async () => undefined,
  standings: [],
})
const request = { correlationId: randomUUID(), idempotencyKey: undefined }
const contextOf = (userId: UserId): CommandContext => {
  const commandId = randomUUID()
  const actor = { type: 'user', id: userId } as const
  return { commandId, correlationId: commandId, causationId: commandId, actor, occurredAt: now() }
}

const factorsOver = (through: Execute) =>
  createFactors({
    execute: through,
    challenges: createChallenges({ execute: through, keys, secrets, tenant }),
    inFlight: createInFlight({ max: 1_000, purposeMax: 1_000, principalMax: 1_000 }),
    tenant,
    now,
    key,
    passkeySettings: { rpId: 'localhost', origins: ['http://localhost:3000'], rpName: 'Annals' },
    countAttempt: free,
  })

async function somebody(): Promise<Principal> {
  const userId = randomUUID()
  await execute(userDecider, {
    stream: streamOf.user(userId),
    context: contextOf(userId),
    decide: register({
      userId,
      email: 'ada@example.org',
      name: 'Ada',
      locale: 'en',
      credentialId: null,
      emailProved: true,
    }),
  })
  const at = Math.floor(Date.now() / 1000)
  const times = { authenticatedAt: at, issuedAt: at, expiresAt: at + 900 }
  return { userId, sessionId: randomUUID(), roles: ['user'], permissions: [], epoch: 1, ...times }
}

async function accountOf({ userId }: Principal): Promise<Account> {
  const { state } = await execute.load(userDecider, streamOf.user(userId))
  if (state.status !== 'active') throw new Error(`the account is ${state.status}`)
  return state
}

/** An execute that is cut off at its nth append, before it or after. */
function cutAt(n: number, when: 'before' | 'after'): Execute {
  let appends = 0
  const cut = async (...[decider, task]: Parameters<Execute>) => {
    const isLast = ++appends === n
    if (isLast && when === 'before') throw new Error('killed')
    const outcome = await execute(decider, task)
    if (isLast) throw new Error('killed')
    return outcome
  }
  return Object.assign(cut as Execute, { load: execute.load })
}

const outcomes = async (attempts: Promise<unknown>[]) =>
  (await Promise.allSettled(attempts)).map(({ status }) => status).filter((status) => status === 'fulfilled').length

describe('registering a passkey, killed', () => {
  it.each<[number, 'before' | 'after']>([
    [1, 'before'],
    [1, 'after'],
    [2, 'before'],
    [2, 'after'],
    [3, 'before'],
    [3, 'after'],
    [4, 'before'],
    [4, 'after'],
  ])('at append %i, %s it: the same answer again completes it, once', async (n, when) => {
    const anna = await somebody()
    const { passkeys } = factorsOver(execute)
    const { ceremonyToken, publicKey } = await passkeys.begin(request, anna)
    const credential = new Authenticator().create(publicKey as never) as never
    const input = { ceremonyToken, credential, label: null }
    await expect(factorsOver(cutAt(n, when)).passkeys.add(request, anna, input)).rejects.toThrow('killed')
    const again = await passkeys.add(request, anna, input).catch((error: Error) => error.message)
    // After the last append there is nothing left to do.
    if (n === 4 && when === 'after') expect(again).toBe('challenge-failed')
    else expect(again).toMatchObject({ kind: 'passkey' })
    expect((await accountOf(anna)).factors).toHaveLength(1)
  })
})

describe('adding an app, killed', () => {
  it.each([
    [1, 'before' as const],
    [1, 'after' as const],
    [2, 'before' as const],
  ])('at append %i, %s it: the next code completes it', async (n, when) => {
    const anna = await somebody()
    const { factors } = factorsOver(execute)
    const { factorId, secret } = await factors.beginTotp(request, anna)
    const confirm = async (through: Execute, steps: -1 | 0) =>
      factorsOver(through).factors.confirmTotp(request, anna, {
        factorId,
        code: await totpCode(secret, steps),
        label: null,
      })
    await expect(confirm(cutAt(n, when), -1)).rejects.toThrow('killed')
    expect((await accountOf(anna)).factors).toHaveLength(0)
    await confirm(execute, 0)
    expect((await accountOf(anna)).factors).toEqual([{ factorId, kind: 'totp' }])
  })
})

async function withTotp() {
  const anna = await somebody()
  const { factors, checkFactor } = factorsOver(execute)
  const { factorId, secret } = await factors.beginTotp(request, anna)
  await factors.confirmTotp(request, anna, { factorId, code: await totpCode(secret, -1), label: null })
  const account = await accountOf(anna)
  const show = (code: string, ceremonyId: string = randomUUID()) =>
    checkFactor({
      account,
      factorId,
      shown: { code },
      ceremony: { ceremonyId, asked: null },
      context: contextOf(anna.userId),
    })
  return { anna, factorId, secret, show, factors, checkFactor }
}

describe('codes that are all judged', () => {
  it('of an app: of 6 equal ones at once in different logins one is taken', async () => {
    const { secret, show } = await withTotp()
    const code = await totpCode(secret)
    expect(await outcomes(Array.from({ length: 6 }, () => show(code)))).toBe(1)
  })

  it('of an app: after 20 wrong ones the right one has to wait', async () => {
    const { secret, show } = await withTotp()
    for (let n = 0; n < 20; n++) await expect(show('000000')).rejects.toThrow('challenge-failed')
    await expect(show(await totpCode(secret))).rejects.toMatchObject({ name: 'TooManyRequests', retryAfterSeconds: 20 })
  })

  it('of a sheet of paper: of 6 equal ones at once one is taken', async () => {
    const { anna, factors, checkFactor } = await withTotp()
    const { factorId, codes } = await factors.newRecoveryCodes(request, anna)
    const account = await accountOf(anna)
    const show = () =>
      checkFactor({
        account,
        factorId,
        shown: { recoveryCode: codes[0]! },
        ceremony: { ceremonyId: randomUUID(), asked: null },
        context: contextOf(anna.userId),
      })
    expect(await outcomes(Array.from({ length: 6 }, show))).toBe(1)
  })

  it('prove nothing once the key of their owner is destroyed', async () => {
    const { anna, secret, factorId } = await withTotp()
    const account = await accountOf(anna)
    await pool.query('update subject_key set wrapped_key = null, destroyed_at = now() where subject = $1', [
      anna.userId,
    ])
    // Another process, which has the key not at hand.
    const fresh = createKeyWriter({ pool, masters, secretMasters, log })
    const through = createExecute({
      log,
      keys: fresh,
      tenant,
      observe: { append: () => undefined, conflict: () => undefined },
    })
    const shown = { code: await totpCode(secret) }
    const ceremony = { ceremonyId: randomUUID(), asked: null }
    const attempt = { account, factorId, shown, ceremony, context: contextOf(anna.userId) }
    await expect(factorsOver(through).checkFactor(attempt)).rejects.toThrow('challenge-failed')
  })
})

describe('codes by mail', () => {
  async function withMail() {
    const anna = await somebody()
    const { factors, ceremonies, requestFactor, checkFactor } = factorsOver(execute)
    const { factorId } = await factors.addMessages(request, anna, 'email', null)
    const account = await accountOf(anna)
    const { token, ceremonyId } = ceremonies.begin(
      'second-factor',
      { userId: anna.userId, epoch: 1, methods: ['password'] },
      now(),
    )
    const login = ceremonies.open('second-factor', token, now())
    const ask = async () => {
      const asked = await requestFactor({ account, factorId, login, context: contextOf(anna.userId) })
      const events = await log.readStream(streamOf.ceremony(ceremonyId))
      const { challengeId } = events.at(-1)!.data as { challengeId: string }
      return { ...asked, challengeId }
    }
    const show = (challengeId: string, code = secrets.codeOf(challengeId)) =>
      checkFactor({
        account,
        factorId,
        shown: { code },
        ceremony: { ceremonyId, asked: { factorId, challengeId } },
        context: contextOf(anna.userId),
      })
    return { login, ask, show }
  }

  it('that are sent again end the former, and last no longer than the login', async () => {
    const { login, ask, show } = await withMail()
    const former = await ask()
    const current = await ask()
    expect(current.expiresAt <= login.expiresAt).toBe(true)
    // Also for a process that has read the login before the second was asked for.
    await expect(show(former.challengeId)).rejects.toThrow('challenge-failed')
    await expect(show(current.challengeId)).resolves.toBe('email')
  })

  it('are taken once of 6 at once', async () => {
    const { ask, show } = await withMail()
    const { challengeId } = await ask()
    expect(await outcomes(Array.from({ length: 6 }, () => show(challengeId)))).toBe(1)
  })

  it('bear a few guesses, then the right one is none', async () => {
    const { ask, show } = await withMail()
    const { challengeId } = await ask()
    const wrong = secrets.codeOf(challengeId) === '000000' ? '000001' : '000000'
    for (let n = 0; n < guessesMax; n++) await expect(show(challengeId, wrong)).rejects.toThrow('challenge-failed')
    await expect(show(challengeId)).rejects.toThrow('challenge-failed')
  })

  it('are sent a few times in a login', async () => {
    const { ask } = await withMail()
    for (let n = 0; n < codesAskedMax; n++) await ask()
    await expect(ask()).rejects.toThrow('challenge-failed')
  })
})
