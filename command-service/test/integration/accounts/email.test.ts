import { generousLimits } from '../../../../dev/stack/generous-limits.mjs'
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { eventually, testScope, type TestDatabase } from '@annals/platform/testing'
import type { ChallengeSecrets } from '../../../src/accounts/challenge-secrets'
import { challengesOf, secretsOf, undoOf } from '../../support/challenges'
import { commandDatabase, silent } from '../../support/database'
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
const me = '/api/v1/users/me'
let database: TestDatabase
let environment: Environment
let service: TestService
let log: EventLog
let secrets: ChallengeSecrets
let anna: Person
let berta: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    TRUSTED_PROXIES: '127.0.0.1',
    RATE_LIMITS: generousLimits({ 'password-reset.account': '5/900', 'authentication.account': '10/900' }),
  })
  service = await startTestService(scope, environment, { BCRYPT_COST: 4 })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  secrets = secretsOf(environment)
})
beforeEach(async () => {
  anna = await somebody(service)
  berta = await somebody(service)
})

let clients = 0
const newClient = () => ({ 'x-forwarded-for': `2001:db8:2:${(clients++).toString(16)}::1` })
const send = (method: string, path: string, body?: unknown, token?: string) =>
  service.send(method, path, {
    ...(body === undefined ? {} : { body }),
    ...(token ? { token } : {}),
    headers: newClient(),
  })
const ask = (person: Person, email: unknown) => send('POST', `${me}/email`, { email }, person.token)
const confirm = (person: Person, body: unknown) => send('POST', `${me}/email/confirm`, body, person.token)
const undo = (token: string) => send('POST', `${me}/email/undo`, { token })
const login = async (email: string) => (await send('POST', '/api/v1/auth/login', { email, password })).status
const register = async (email: string) =>
  (await send('POST', '/api/v1/auth/register', { email, password, name: 'Another' })).status
const refresh = (refreshToken: string) => send('POST', '/api/v1/auth/refresh', { refreshToken })
const issuedAs = async (challengeId: string) => (await log.readStream(`challenge-${challengeId}`))[0]!.data
const typesOf = async ({ userId }: Person) => (await log.readStream(`user-${userId}`)).map(({ type }) => type)

/** Moves a person to another address, by code. */
async function move(person: Person, email = newEmail()): Promise<string> {
  const { body } = await ask(person, email)
  const { challengeId } = body
  const { status } = await confirm(person, { challengeId, code: secrets.codeOf(challengeId) })
  expect(status).toBe(200)
  return email
}
const undoTokenOf = async (person: Person, change = -1) => secrets.tokenOf(await undoOf(log, person.userId, change))

describe('another address', () => {
  it('is that of the account once it is proved, and the former one is not any more', async () => {
    const email = await move(anna)
    expect(await login(email)).toBe(200)
    expect(await login(anna.email)).toBe(401)
    expect(await register(email)).toBe(409)
  })

  it('is proved by the link as well', async () => {
    const email = newEmail()
    const { challengeId } = (await ask(anna, email)).body
    expect((await confirm(anna, { token: secrets.tokenOf(challengeId) })).status).toBe(200)
    expect(await login(email)).toBe(200)
  })

  it('is not anybody’s before it is proved', async () => {
    const email = newEmail()
    await ask(anna, email)
    expect(await login(anna.email)).toBe(200)
    expect(await register(email)).toBe(201)
  })

  it('is told nothing of when it is taken: its holder is, by a mail that can not be answered', async () => {
    const [free, taken] = [await ask(anna, newEmail()), await ask(anna, berta.email)]
    for (const { status, body } of [free, taken]) {
      expect(status).toBe(202)
      expect(Object.keys(body)).toEqual(['challengeId', 'expiresAt'])
    }
    expect([...free.headers.keys()]).toEqual([...taken.headers.keys()])
    const { challengeId } = taken.body
    expect(await issuedAs(challengeId)).toMatchObject({ purpose: 'address-taken', userId: null, epoch: null })
    for (const body of [{ challengeId, code: secrets.codeOf(challengeId) }, { token: secrets.tokenOf(challengeId) }])
      expect((await confirm(anna, body)).body.code).toBe('challenge-failed')
    expect(await login(berta.email)).toBe(200)
  })

  it('is asked for five times in a quarter of an hour, taken or not', async () => {
    for (let i = 0; i < 5; i++) expect((await ask(anna, i % 2 ? berta.email : newEmail())).status).toBe(202)
    expect((await ask(anna, newEmail())).body.code).toBe('too-many-requests')
  })

  it('goes to the first of two who prove it', async () => {
    const email = newEmail()
    const another = await somebody(service)
    const asked = await Promise.all([anna, another].map(async (person) => (await ask(person, email)).body.challengeId))
    const replies = await Promise.all(
      [anna, another].map((person, i) => confirm(person, { token: secrets.tokenOf(asked[i]) })),
    )
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 409])
  })

  it('is taken up once by many who confirm at once', async () => {
    const email = newEmail()
    const { challengeId } = (await ask(anna, email)).body
    const token = secrets.tokenOf(challengeId)
    const replies = await Promise.all([1, 2, 3, 4].map(() => confirm(anna, { token })))
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(await typesOf(anna)).toEqual(['user.registered', 'user.email_changed'])
  })

  it('is not taken from a message of somebody else, nor from one before the latest', async () => {
    const first = (await ask(anna, newEmail())).body.challengeId
    expect((await confirm(berta, { token: secrets.tokenOf(first) })).body.code).toBe('challenge-failed')
    await ask(anna, newEmail())
    expect((await confirm(anna, { token: secrets.tokenOf(first) })).body.code).toBe('challenge-failed')
  })

  it('bears five wrong codes, and no more', async () => {
    const { challengeId } = (await ask(anna, newEmail())).body
    const right = secrets.codeOf(challengeId)
    const wrong = right === '000000' ? '000001' : '000000'
    const replies = await Promise.all(Array.from({ length: 20 }, () => confirm(anna, { challengeId, code: wrong })))
    for (const { body } of replies) expect(['challenge-failed', 'concurrent-change']).toContain(body.code)
    const guesses = (await log.readStream(`challenge-${challengeId}`)).filter(
      ({ type }) => type === 'challenge.guessed',
    )
    expect(guesses.length).toBeLessThanOrEqual(5)
    for (let i = guesses.length; i < 5; i++) await confirm(anna, { challengeId, code: wrong })
    expect((await confirm(anna, { challengeId, code: right })).body.code).toBe('challenge-failed')
  })

  it.each([
    {},
    { token: '' },
    { token: 7 },
    { code: '123456' },
    { challengeId: 'x', code: '123456' },
    { challengeId: '11111111-1111-4111-8111-111111111111', code: '12345' },
    { challengeId: '11111111-1111-4111-8111-111111111111', code: '１２３４５６' },
    { token: 'x', email: 'x@example.com' },
  ])('is not proved by %j', async (body) => expect((await confirm(anna, body)).status).toBe(400))
})

describe('the former address', () => {
  it('is nobody else’s while the change can be undone', async () => {
    await move(anna)
    expect(await register(anna.email)).toBe(409)
    const { challengeId } = (await ask(berta, anna.email)).body
    expect(await issuedAs(challengeId)).toMatchObject({ purpose: 'address-taken' })
  })

  it('is put back by the link that was sent there, which ends all sessions and has the password reset', async () => {
    const thief = await move(anna)
    const { status, body } = await undo(await undoTokenOf(anna))
    expect([status, body]).toEqual([200, { passwordResetSent: true }])
    // Its access tokens as well, at once.
    expect((await send('GET', '/api/v1/auth/validate', undefined, anna.token)).body.code).toBe('session-ended')
    expect((await refresh(anna.refreshToken)).body.code).toBe('session-ended')
    expect(await login(anna.email)).toBe(200)
    expect(await login(thief)).toBe(401)
    expect(await register(thief)).toBe(201)
    const [reset] = await challengesOf(log, 'password-reset', anna.userId)
    const next = { token: secrets.tokenOf(reset!), password: 'quite another staple of horses' }
    expect((await send('POST', '/api/v1/auth/password/reset', next)).status).toBe(204)
  })

  it('is put back past further changes of a thief, who can put none of his own back', async () => {
    const first = await move(anna)
    await move(anna)
    const ofThief = await undoTokenOf(anna, 1)
    expect((await undo(await undoTokenOf(anna, 0))).status).toBe(200)
    expect((await undo(ofThief)).body.code).toBe('challenge-failed')
    expect(await login(anna.email)).toBe(200)
    expect(await login(first)).toBe(401)
  })

  it('is put back although the password was changed meanwhile', async () => {
    await move(anna)
    const body = { currentPassword: password, newPassword: 'a thief would choose this' }
    expect((await send('PUT', `${me}/password`, body, anna.token)).status).toBe(200)
    expect((await undo(await undoTokenOf(anna))).status).toBe(200)
  })

  it('is put back once, however often and fast it is asked for', async () => {
    await move(anna)
    const token = await undoTokenOf(anna)
    const replies = await Promise.all([1, 2, 3, 4].map(() => undo(token)))
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect((await undo(token)).status).toBe(200)
    expect(await typesOf(anna)).toEqual([
      'user.registered',
      'user.email_changed',
      'user.email_changed',
      'user.sessions_ended',
    ])
  })

  it('is not put back by a link for something else', async () => {
    const { challengeId } = (await ask(anna, newEmail())).body
    expect((await undo(secrets.tokenOf(challengeId))).body.code).toBe('challenge-failed')
    expect((await undo('x')).body.code).toBe('challenge-failed')
  })

  it('gets no link for a new password any more, and one that it got before is worth nothing', async () => {
    await send('POST', '/api/v1/auth/password/forgot', { email: anna.email })
    // It is sent after the answer.
    await eventually(async () => expect(await challengesOf(log, 'password-reset', anna.userId)).toHaveLength(1))
    await move(anna)
    await send('POST', '/api/v1/auth/password/forgot', { email: anna.email })
    await service.send('GET', `${me}/consents`, { token: anna.token })
    for (const id of await challengesOf(log, 'password-reset', anna.userId)) {
      const body = { token: secrets.tokenOf(id), password: 'quite another staple of horses' }
      expect((await send('POST', '/api/v1/auth/password/reset', body)).body.code).toBe('challenge-failed')
    }
    expect(await challengesOf(log, 'password-reset', anna.userId)).toHaveLength(1)
  })
})

describe('what people tell of themselves', () => {
  it('is a phone number, once it is proved', async () => {
    const { body } = await send('POST', `${me}/phone`, { phone: '+34600123456' }, anna.token)
    const answer = { challengeId: body.challengeId, code: secrets.codeOf(body.challengeId) }
    expect(await issuedAs(body.challengeId)).toMatchObject({ purpose: 'change-phone', channel: 'sms' })
    expect((await send('POST', `${me}/phone/confirm`, answer, berta.token)).body.code).toBe('challenge-failed')
    expect((await send('POST', `${me}/phone/confirm`, answer, anna.token)).status).toBe(200)
    expect((await send('POST', `${me}/phone/confirm`, answer, anna.token)).status).toBe(200)
    expect((await send('DELETE', `${me}/phone`, undefined, anna.token)).status).toBe(204)
    expect((await send('DELETE', `${me}/phone`, undefined, anna.token)).status).toBe(204)
    expect(await typesOf(anna)).toEqual(['user.registered', 'user.phone_changed', 'user.phone_changed'])
  })

  it('is name, language and time zone, and nothing else', async () => {
    const change = (body: unknown) => send('PATCH', me, body, anna.token)
    expect((await change({ timeZone: 'Europe/Madrid', name: 'Ana' })).status).toBe(200)
    expect((await change({ timeZone: 'Europe/Madrid' })).status).toBe(200)
    for (const body of [{}, { email: newEmail() }, { roles: ['admin'] }, { timeZone: 'Mars/Olympus' }, { name: '' }, 7])
      expect((await change(body)).status).toBe(400)
    expect(await typesOf(anna)).toEqual(['user.registered', 'user.profile_changed'])
    const [, changed] = await log.readStream(`user-${anna.userId}`)
    expect(changed!.data).toMatchObject({ locale: 'en', timeZone: 'Europe/Madrid' })
    expect(JSON.stringify(changed!.data)).not.toContain('Ana')
  })

  it('is what they agree to: nothing unless they say so', async () => {
    const path = `${me}/consents`
    const none = { isGiven: false, givenAt: null }
    expect((await send('GET', path, undefined, anna.token)).body).toEqual({
      consents: { 'marketing-email': none, 'product-news': none },
    })
    const { body } = await send('PUT', path, { consents: { 'product-news': true } }, anna.token)
    expect(body.consents).toMatchObject({ 'marketing-email': none, 'product-news': { isGiven: true } })
    expect((await send('GET', path, undefined, anna.token)).body).toEqual(body)
    await send('PUT', path, { consents: { 'product-news': false } }, anna.token)
    expect((await send('GET', path, undefined, anna.token)).body.consents['product-news']).toEqual(none)
    for (const consents of [{ everything: true }, { 'product-news': 'yes' }, null])
      expect((await send('PUT', path, { consents }, anna.token)).status).toBe(400)
  })
})
