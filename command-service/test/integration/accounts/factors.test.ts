import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { streamOf } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { testScope } from '@annals/platform/testing'
import { createChallengeSecrets, type ChallengeSecrets } from '../../../src/accounts/challenge-secrets'
import { generousLimits } from '../../../../dev/stack/generous-limits.mjs'
import { commandDatabase, silent } from '../../support/database'
import { addTotp, halfWay, mfa, somebodyWithTotp, totpCode, type WithTotp } from '../../support/factors'
import {
  logIn,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Person,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
let service: TestService
let log: EventLog
let challengeSecrets: ChallengeSecrets

beforeAll(async () => {
  const database = await scope.database(commandDatabase)
  const environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    RATE_LIMITS: generousLimits({ 'mfa.account': '1/10' }),
  })
  service = await startTestService(scope, environment, { BCRYPT_COST: 4 })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  challengeSecrets = createChallengeSecrets(Buffer.from(environment['RESERVATION_KEY']!, 'base64'), 'main')
})

const factors = '/api/v1/users/me/factors'
const codeOf = ({ status, body }: { status: number; body: { code?: string } }) => [status, body.code ?? 'done']
const failed = [401, 'challenge-failed']
const eventsOf = (stream: string) => log.readStream(stream)
const typesOf = async (stream: string) => (await eventsOf(stream)).map(({ type }) => type)

/** A fact that another command would append to a user's stream; nothing in it is hidden. */
async function happen(userId: string, type: string, data: object): Promise<void> {
  const stream = streamOf.user(userId)
  const commandId = randomUUID()
  const ids = { commandId, correlationId: commandId, causationId: commandId }
  const actor = { type: 'system', id: 'test' }
  const occurredAt = new Date().toISOString()
  const metadata = { schemaVersion: 1, tenant: 'main', ...ids, actor, occurredAt, source: 'test' }
  const revision = (await log.lastOf(stream))!.revision
  await log.append(stream, [{ id: randomUUID(), type, data: { userId, ...data }, metadata }], revision)
}

async function recoveryCodes({ token }: Person): Promise<{ factorId: string; codes: string[] }> {
  const { status, body } = await service.post(`${factors}/recovery-codes`, { token })
  expect(status).toBe(201)
  return body
}

describe('an authenticator app', () => {
  it('is asked for after the password, and brings the session with both methods', async () => {
    const anna = await somebodyWithTotp(service)
    const login = await halfWay(service, anna)
    expect(login.factors).toEqual([{ factorId: anna.factorId, kind: 'totp' }])
    const { status, body, headers } = await mfa(service, {
      challengeToken: login.challengeToken,
      factorId: anna.factorId,
      code: await totpCode(anna.secret),
    })
    expect([status, body.userId, headers.get('cache-control')]).toEqual([200, anna.userId, 'no-store'])
    expect((await service.get('/api/v1/auth/validate', { token: body.accessToken })).status).toBe(200)
    const [begun] = await eventsOf(`session-${body.sessionId}`)
    expect(begun!.data).toMatchObject({ methods: ['password', 'totp'] })
  })

  it('counts for nothing until a code of it was shown', async () => {
    const anna = await somebody(service)
    const begun = await service.post(`${factors}/totp`, { token: anna.token })
    expect(begun.headers.get('cache-control')).toBe('no-store')
    await logIn(service, anna.email)
    const body = { factorId: begun.body.factorId, code: '000000', label: null }
    expect(codeOf(await service.post(`${factors}/totp/confirm`, { token: anna.token, body }))).toEqual(failed)
    await logIn(service, anna.email)
  })

  it('shows its secret once: neither the list nor the log has it', async () => {
    const anna = await somebodyWithTotp(service)
    const { body } = await service.get(factors, { token: anna.token })
    expect(body.items).toEqual([
      { factorId: anna.factorId, kind: 'totp', label: 'Phone', addedAt: expect.any(String), codesLeft: null },
    ])
    const recorded = [...(await eventsOf(`factor-${anna.factorId}`)), ...(await eventsOf(`user-${anna.userId}`))]
    expect(recorded.length).toBeGreaterThan(2)
    expect(JSON.stringify([recorded.map(({ data, metadata }) => [data, metadata]), body])).not.toContain(anna.secret)
  })

  it("of somebody else can't be confirmed", async () => {
    const [anna, ben] = [await somebody(service), await somebody(service)]
    const { body: begun } = await service.post(`${factors}/totp`, { token: anna.token })
    const body = { factorId: begun.factorId, code: await totpCode(begun.secret), label: null }
    expect(codeOf(await service.post(`${factors}/totp/confirm`, { token: ben.token, body }))).toEqual(failed)
  })

  it('has each code taken once, also by another login', async () => {
    const anna = await somebodyWithTotp(service)
    const { factorId } = anna
    const code = await totpCode(anna.secret)
    const logins = [await halfWay(service, anna), await halfWay(service, anna)]
    expect((await mfa(service, { ...pick(logins[0]!), factorId, code })).status).toBe(200)
    expect(codeOf(await mfa(service, { ...pick(logins[1]!), factorId, code }))).toEqual(failed)
  })

  it('has no code taken that confirmed it', async () => {
    const anna = await somebodyWithTotp(service)
    const code = await totpCode(anna.secret, -1)
    expect(
      codeOf(await mfa(service, { ...pick(await halfWay(service, anna)), factorId: anna.factorId, code })),
    ).toEqual(failed)
  })

  it('has one of 50 who show the same code at once let in', async () => {
    const anna = await somebodyWithTotp(service)
    const login = await halfWay(service, anna)
    const body = { ...pick(login), factorId: anna.factorId, code: await totpCode(anna.secret) }
    const replies = await Promise.all(Array.from({ length: 50 }, () => mfa(service, body)))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.every(({ status }) => [200, 401, 429].includes(status))).toBe(true)
    const uses = (await typesOf(`factor-${anna.factorId}`)).filter((type) => type === 'factor.used')
    // One of them has confirmed it.
    expect(uses).toHaveLength(2)
  })
})

const pick = ({ challengeToken }: { challengeToken: string }) => ({ challengeToken })

describe('the token half-way', () => {
  let anna: WithTotp
  let token: string

  beforeAll(async () => {
    anna = await somebodyWithTotp(service)
    token = (await halfWay(service, anna)).challengeToken
  })

  it('is no access token', async () => {
    for (const path of ['/api/v1/auth/validate', factors])
      expect(codeOf(await service.get(path, { token }))).toEqual([401, 'unauthenticated'])
    expect(codeOf(await service.post(`${factors}/recovery-codes`, { token }))).toEqual([401, 'unauthenticated'])
  })

  it('is no refresh token, and no token of a passkey', async () => {
    expect((await service.post('/api/v1/auth/refresh', { body: { refreshToken: token } })).status).toBe(401)
    const options = await service.post('/api/v1/auth/passkeys/options')
    const body = { challengeToken: options.body.ceremonyToken, factorId: anna.factorId, code: '123456' }
    expect(codeOf(await mfa(service, body))).toEqual(failed)
  })

  it.each([
    ['an access token', () => anna.token],
    ['a refresh token', () => anna.refreshToken],
    ['a token whose user was changed', () => forge({ userId: randomUUID() })],
    ['a token that was given more time', () => forge({ expiresAt: '2999-01-01T00:00:00.000Z' })],
    ['nothing of ours', () => 'e30.AAAAAAAAAAAAAAAAAAAAAA'],
  ])('is not %s', async (_, given) => {
    const code = await totpCode(anna.secret)
    expect(codeOf(await mfa(service, { challengeToken: given(), factorId: anna.factorId, code }))).toEqual(failed)
  })

  const forge = (change: object) => {
    const [text, mac] = token.split('.')
    const claims = { ...JSON.parse(Buffer.from(text!, 'base64url').toString()), ...change }
    return `${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${mac}`
  }

  it('brings one session, whatever is shown', async () => {
    const ben = await somebodyWithTotp(service)
    const { factorId, codes } = await recoveryCodes(ben)
    const login = await halfWay(service, ben)
    expect((await mfa(service, { ...pick(login), factorId, recoveryCode: codes[0] })).status).toBe(200)
    expect(codeOf(await mfa(service, { ...pick(login), factorId, recoveryCode: codes[1] }))).toEqual(failed)
    // The second was refused before it was looked at: it is still good.
    expect(
      (await mfa(service, { ...pick(await halfWay(service, ben)), factorId, recoveryCode: codes[1] })).status,
    ).toBe(200)
  })

  it.each([
    ['all sessions were ended', 'user.sessions_ended', { epoch: 2, exceptSessionId: null }],
    ['the account was disabled', 'user.disabled', { epoch: 2, reason: 'administrator' }],
  ])('is void once %s', async (_, type, data) => {
    const ben = await somebodyWithTotp(service)
    const login = await halfWay(service, ben)
    await happen(ben.userId, type, data)
    const code = await totpCode(ben.secret)
    expect(codeOf(await mfa(service, { ...pick(login), factorId: ben.factorId, code }))).toEqual(failed)
  })

  it.each([
    ['a wrong code', () => ({ factorId: anna.factorId, code: '000000' })],
    ['a factor of nobody', () => ({ factorId: randomUUID(), code: '000000' })],
    ['a recovery code for an app', () => ({ factorId: anna.factorId, recoveryCode: '0000-0000-0000-0000' })],
  ])('answers %s as any other wrong answer', async (_, shown) => {
    const ben = await somebodyWithTotp(service)
    const { factorId } = shown()
    const own = factorId === anna.factorId ? { ...shown(), factorId: ben.factorId } : shown()
    const { status, body } = await mfa(service, { ...pick(await halfWay(service, ben)), ...own })
    const { correlationId: _id, ...said } = body
    expect([status, said]).toEqual([401, expect.objectContaining({ code: 'challenge-failed' })])
    expect(said.detail).toMatch(/Check it, or ask for a new one/)
  })
})

describe('guesses', () => {
  it('count: of 100 at once one is judged, and the right one waits too', async () => {
    const anna = await somebodyWithTotp(service)
    const { factorId } = anna
    const login = pick(await halfWay(service, anna))
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) => mfa(service, { ...login, factorId, code: String(n).padStart(6, '0') })),
    )
    expect(replies.filter(({ status }) => status === 401)).toHaveLength(1)
    const throttled = replies.filter(({ status }) => status === 429)
    expect(throttled).toHaveLength(99)
    expect(Number(throttled[0]!.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await mfa(service, { ...login, factorId, code: await totpCode(anna.secret) })).status).toBe(429)
    expect((await typesOf(`factor-${factorId}`)).filter((type) => type === 'factor.guessed')).toHaveLength(1)
  })

  it('at a factor that is none count too', async () => {
    const anna = await somebodyWithTotp(service)
    const login = pick(await halfWay(service, anna))
    expect(codeOf(await mfa(service, { ...login, factorId: randomUUID(), code: '000000' }))).toEqual(failed)
    const code = await totpCode(anna.secret)
    expect((await mfa(service, { ...login, factorId: anna.factorId, code })).status).toBe(429)
  })

  it('while a factor is added count as well', async () => {
    const anna = await somebody(service)
    const { body: begun } = await service.post(`${factors}/totp`, { token: anna.token })
    const confirm = (code: string) =>
      service.post(`${factors}/totp/confirm`, {
        token: anna.token,
        body: { factorId: begun.factorId, code, label: null },
      })
    expect((await confirm('000000')).status).toBe(401)
    expect((await confirm(await totpCode(begun.secret))).status).toBe(429)
  })
})

describe('recovery codes', () => {
  it('are good once each, and fewer are left', async () => {
    const anna = await somebodyWithTotp(service)
    const { factorId, codes } = await recoveryCodes(anna)
    expect(codes).toHaveLength(10)
    const recoveryCode = codes[3]!.toUpperCase().replaceAll('-', ' ')
    const { status, body } = await mfa(service, { ...pick(await halfWay(service, anna)), factorId, recoveryCode })
    expect(status).toBe(200)
    expect((await eventsOf(`session-${body.sessionId}`))[0]!.data).toMatchObject({
      methods: ['password', 'recovery-code'],
    })
    const { items } = (await service.get(factors, { token: anna.token })).body
    expect(items[1]).toMatchObject({ kind: 'recovery-codes', codesLeft: 9 })
    expect(codeOf(await mfa(service, { ...pick(await halfWay(service, anna)), factorId, recoveryCode }))).toEqual(
      failed,
    )
  })

  it('are void once there is a new set', async () => {
    const anna = await somebodyWithTotp(service)
    const former = await recoveryCodes(anna)
    const current = await recoveryCodes(anna)
    const login = await halfWay(service, anna)
    expect(login.factors.map(({ factorId }) => factorId)).toEqual([anna.factorId, current.factorId])
    const right = { ...pick(login), factorId: current.factorId, recoveryCode: current.codes[0] }
    expect((await mfa(service, right)).status).toBe(200)
    const again = pick(await halfWay(service, anna))
    expect(codeOf(await mfa(service, { ...again, factorId: former.factorId, recoveryCode: former.codes[0] }))).toEqual(
      failed,
    )
  })

  it('need a factor that they stand in for', async () => {
    const { token } = await somebody(service)
    expect(codeOf(await service.post(`${factors}/recovery-codes`, { token }))).toEqual([409, 'factor-missing'])
  })

  it('let one of 20 in who show the same at once', async () => {
    const anna = await somebodyWithTotp(service)
    const { factorId, codes } = await recoveryCodes(anna)
    const logins = await Promise.all(Array.from({ length: 20 }, () => halfWay(service, anna)))
    const replies = await Promise.all(
      logins.map((login) => mfa(service, { ...pick(login), factorId, recoveryCode: codes[0] })),
    )
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
  })
})

describe('codes by mail', () => {
  const asked = async (challengeToken: string) => {
    const { ceremonyId } = JSON.parse(Buffer.from(challengeToken.split('.')[0]!, 'base64url').toString())
    const events = await eventsOf(`ceremony-${ceremonyId}`)
    return events
      .filter(({ type }) => type === 'ceremony.code_asked')
      .map(({ data }) => (data as { challengeId: string }).challengeId)
  }

  async function somebodyWithMail(): Promise<Person & { factorId: string }> {
    const anna = await somebody(service)
    await happen(anna.userId, 'user.email_proved', {})
    const { status, body } = await service.post(`${factors}/email`, { token: anna.token, body: {} })
    expect([status, body.kind]).toEqual([201, 'email'])
    return { ...anna, factorId: body.factorId }
  }

  it('need an address that was proved, and a phone', async () => {
    const { token } = await somebody(service)
    for (const kind of ['email', 'sms'])
      expect(codeOf(await service.post(`${factors}/${kind}`, { token, body: {} }))).toEqual([409, 'address-not-proved'])
  })

  it('are sent when asked for, hidden in the log, and bring the session', async () => {
    const { factorId, ...anna } = await somebodyWithMail()
    const login = pick(await halfWay(service, anna))
    const { status, body } = await mfa(service, { ...login, factorId, send: true })
    expect([status, body.sent]).toEqual([200, { factorId, expiresAt: expect.any(String), publicKey: null }])
    const [challengeId] = await asked(login.challengeToken)
    const [issued] = await eventsOf(`challenge-${challengeId}`)
    const code = challengeSecrets.codeOf(challengeId!)
    expect(issued!.data).toMatchObject({ purpose: 'second-factor', channel: 'email', userId: anna.userId })
    expect(JSON.stringify(issued!.data)).not.toContain(code)
    expect(JSON.stringify(issued!.data)).not.toContain(anna.email)
    expect((await mfa(service, { ...login, factorId, code })).status).toBe(200)
    expect(codeOf(await mfa(service, { ...login, factorId, code }))).toEqual(failed)
  })

  it('are bound to their login', async () => {
    const { factorId, ...anna } = await somebodyWithMail()
    const [first, second] = [pick(await halfWay(service, anna)), pick(await halfWay(service, anna))]
    await mfa(service, { ...first, factorId, send: true })
    const [challengeId] = await asked(first.challengeToken)
    const code = challengeSecrets.codeOf(challengeId!)
    expect(codeOf(await mfa(service, { ...second, factorId, code }))).toEqual(failed)
  })

  it('are sent once in ten seconds', async () => {
    const { factorId, ...anna } = await somebodyWithMail()
    const login = pick(await halfWay(service, anna))
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => mfa(service, { ...login, factorId, send: true })),
    )
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(19)
    expect(await asked(login.challengeToken)).toHaveLength(1)
  })
})

describe('a factor', () => {
  it('is removed by its owner alone; then the password is enough', async () => {
    const [anna, ben] = [await somebodyWithTotp(service), await somebody(service)]
    await recoveryCodes(anna)
    const remove = (token: string, factorId = anna.factorId) => service.delete(`${factors}/${factorId}`, { token })
    expect(codeOf(await remove(ben.token))).toEqual([404, 'factor-not-found'])
    expect((await remove(anna.token)).status).toBe(204)
    expect(codeOf(await remove(anna.token))).toEqual([404, 'factor-not-found'])
    expect((await service.get(factors, { token: anna.token })).body.items).toEqual([])
    await logIn(service, anna.email)
  })

  it('that was removed counts no more in a login that was half-way', async () => {
    const anna = await addTotp(service, await somebodyWithTotp(service))
    const login = pick(await halfWay(service, anna))
    expect((await service.delete(`${factors}/${anna.factorId}`, { token: anna.token })).status).toBe(204)
    const code = await totpCode(anna.secret)
    expect(codeOf(await mfa(service, { ...login, factorId: anna.factorId, code }))).toEqual(failed)
  })

  it('is one of ten', async () => {
    const anna = await somebody(service)
    for (let n = 0; n < 10; n++) await addTotp(service, anna)
    expect(codeOf(await service.post(`${factors}/totp`, { token: anna.token }))).toEqual([409, 'too-many-factors'])
  })

  it('is changed by no session of a former epoch', async () => {
    const anna = await somebodyWithTotp(service)
    await happen(anna.userId, 'user.sessions_ended', { epoch: 2, exceptSessionId: null })
    expect((await service.delete(`${factors}/${anna.factorId}`, { token: anna.token })).status).toBe(401)
    expect((await service.post(`${factors}/totp`, { token: anna.token })).status).toBe(401)
  })
})

describe('whoever has no second factor', () => {
  it('logs in as before', async () => {
    const { email } = await somebody(service)
    const { body } = await service.post('/api/v1/auth/login', { body: { email, password } })
    expect(body).toMatchObject({ tokenType: 'Bearer' })
  })
})
