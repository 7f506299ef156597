import { beforeAll, describe, expect, it } from '@jest/globals'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { testScope } from '@annals/platform/testing'
import { Authenticator, type Otherwise } from '../../support/authenticator'
import { commandDatabase, silent } from '../../support/database'
import { halfWay, mfa } from '../../support/factors'
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
  const database = await scope.database(commandDatabase)
  const environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    WEBAUTHN_RP_ID: 'example.org',
    WEBAUTHN_ORIGINS: 'https://app.example.org, https://example.org',
  })
  service = await startTestService(scope, environment, { BCRYPT_COST: 4 })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
})

const passkeys = '/api/v1/users/me/factors/passkeys'
const login = '/api/v1/auth/passkeys'
const codeOf = ({ status, body }: { status: number; body: { code?: string } }) => [status, body.code ?? 'done']
const failed = [401, 'challenge-failed']
const newAuthenticator = () => new Authenticator('https://app.example.org', 'example.org')

async function begin({ token }: Pick<Person, 'token'>) {
  const { status, body } = await service.post(`${passkeys}/options`, { token })
  expect(status).toBe(200)
  return body
}

async function register(person: Person, authenticator = newAuthenticator(), otherwise: Otherwise = {}) {
  const { ceremonyToken, publicKey } = await begin(person)
  const credential = authenticator.create(publicKey, otherwise)
  const body = { ceremonyToken, credential, label: 'Laptop' }
  return { authenticator, body, reply: await service.post(passkeys, { token: person.token, body }) }
}

/** Somebody with a passkey. */
async function somebodyWithPasskey() {
  const anna = await somebody(service)
  const { authenticator, reply } = await register(anna)
  if (reply.status !== 201) throw new Error(`not registered: ${JSON.stringify(reply.body)}`)
  return { ...anna, authenticator, factorId: reply.body.factorId as string }
}

async function logInBy(authenticator: Authenticator, otherwise: Otherwise = {}) {
  const { body: begun } = await service.post(`${login}/options`)
  const body = { ceremonyToken: begun.ceremonyToken, credential: authenticator.get(begun.publicKey, otherwise) }
  return { body, reply: await service.post(login, { body }) }
}

describe('registering a passkey', () => {
  it('asks for one that verifies its owner, and names none that is theirs already', async () => {
    const anna = await somebodyWithPasskey()
    const { publicKey } = await begin(anna)
    expect(publicKey).toMatchObject({
      rp: { id: 'example.org', name: 'Annals' },
      user: { name: anna.email, id: Buffer.from(anna.userId).toString('base64url') },
      authenticatorSelection: { userVerification: 'required', residentKey: 'required' },
      excludeCredentials: [{ id: anna.authenticator.id }],
    })
  })

  it('adds it, and keeps its public key sealed', async () => {
    const anna = await somebodyWithPasskey()
    const { items } = (await service.get('/api/v1/users/me/factors', { token: anna.token })).body
    expect(items).toMatchObject([{ factorId: anna.factorId, kind: 'passkey', label: 'Laptop' }])
    const [created] = await log.readStream(`factor-${anna.factorId}`)
    expect(Object.keys(created!.data as object).toSorted()).toEqual(['factorId', 'kind', 'secret', 'userId'])
  })

  it.each<[string, Otherwise]>([
    ['on a foreign page', { origin: 'https://app.example.org.evil.example' }],
    ['on a page of the domain that is not ours', { origin: 'https://blog.example.org' }],
    ['for another domain', { rpId: 'evil.example' }],
    ['without PIN or finger', { isUnverified: true }],
  ])('is refused %s', async (_, otherwise) => {
    const { reply } = await register(await somebody(service), newAuthenticator(), otherwise)
    expect(codeOf(reply)).toEqual(failed)
  })

  it('is done once with one answer', async () => {
    const anna = await somebody(service)
    const { body, reply } = await register(anna)
    expect(reply.status).toBe(201)
    expect(codeOf(await service.post(passkeys, { token: anna.token, body }))).toEqual(failed)
  })

  it('is bound to the session that began it', async () => {
    const anna = await somebody(service)
    const { ceremonyToken, publicKey } = await begin(anna)
    const body = { ceremonyToken, credential: newAuthenticator().create(publicKey), label: null }
    const others = [await logIn(service, anna.email), await somebody(service)]
    for (const { token } of others) expect(codeOf(await service.post(passkeys, { token, body }))).toEqual(failed)
    expect((await service.post(passkeys, { token: anna.token, body })).status).toBe(201)
  })

  it('of a credential that somebody has is refused, for others and for its owner', async () => {
    const anna = await somebodyWithPasskey()
    const { reply } = await register(await somebody(service), anna.authenticator)
    expect(codeOf(reply)).toEqual([409, 'passkey-taken'])
    expect(codeOf((await register(anna, anna.authenticator)).reply)).toEqual([409, 'passkey-taken'])
  })

  it('with 20 equal answers at once adds one', async () => {
    const anna = await somebody(service)
    const { ceremonyToken, publicKey } = await begin(anna)
    const body = { ceremonyToken, credential: newAuthenticator().create(publicKey), label: null }
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => service.post(passkeys, { token: anna.token, body })),
    )
    expect(replies.every(({ status }) => [201, 401, 409].includes(status))).toBe(true)
    const { items } = (await service.get('/api/v1/users/me/factors', { token: anna.token })).body
    expect(items).toHaveLength(1)
  })

  it.each([
    ['nonsense', 'AAAA'],
    ['a map that never ends', 'v'.repeat(15_000)],
    ['arrays in arrays', Buffer.alloc(11_000, 0x81).toString('base64url')],
    ['a length that is a lie', Buffer.from([0x5b, 255, 255, 255, 255, 255, 255, 255, 255]).toString('base64url')],
  ])('refuses %s', async (_, attestationObject) => {
    const anna = await somebody(service)
    const { ceremonyToken, publicKey } = await begin(anna)
    const credential = newAuthenticator().create(publicKey)
    credential.response.attestationObject = attestationObject
    const { status } = await service.post(passkeys, {
      token: anna.token,
      body: { ceremonyToken, credential, label: null },
    })
    expect(status).toBe(401)
  })
})

describe('a login by passkey', () => {
  it('needs no address and no password, and asks for nothing more', async () => {
    const anna = await somebodyWithPasskey()
    const { reply } = await logInBy(anna.authenticator)
    expect([reply.status, reply.body.userId]).toEqual([200, anna.userId])
    const [begun] = await log.readStream(`session-${reply.body.sessionId}`)
    expect(begun!.data).toMatchObject({ methods: ['passkey'] })
    const last = await log.lastOf(`factor-${anna.factorId}`)
    expect(last!.data).toMatchObject({ mark: anna.authenticator.counter })
  })

  it('is begun without a trace: strangers write nothing', async () => {
    const before = await log.head()
    for (let n = 0; n < 10; n++) expect((await service.post(`${login}/options`)).status).toBe(200)
    const written = (await log.recent({ since: Date.now() - 60_000, prefixes: ['ceremony-'], countMax: 100_000 })) ?? []
    expect(written.filter(({ position }) => position > (before ?? 0n))).toEqual([])
  })

  it.each<[string, Otherwise]>([
    ['on a foreign page', { origin: 'https://evil.example' }],
    ['on the right page over http', { origin: 'http://app.example.org' }],
    ['for another domain', { rpId: 'evil.example' }],
    ['without PIN or finger', { isUnverified: true }],
  ])('is refused %s', async (_, otherwise) => {
    const { authenticator } = await somebodyWithPasskey()
    expect(codeOf((await logInBy(authenticator, otherwise)).reply)).toEqual(failed)
  })

  it('is refused to an authenticator that nobody has registered', async () =>
    expect(codeOf((await logInBy(newAuthenticator())).reply)).toEqual(failed))

  it('is one login: the same answer brings no second session', async () => {
    const { authenticator } = await somebodyWithPasskey()
    const { body, reply } = await logInBy(authenticator)
    expect(reply.status).toBe(200)
    expect(codeOf(await service.post(login, { body }))).toEqual(failed)
  })

  it('is one login also for 20 who send the same answer at once', async () => {
    const { authenticator } = await somebodyWithPasskey()
    const { body: begun } = await service.post(`${login}/options`)
    const body = { ceremonyToken: begun.ceremonyToken, credential: authenticator.get(begun.publicKey) }
    const replies = await Promise.all(Array.from({ length: 20 }, () => service.post(login, { body })))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  it('is refused with an answer to another challenge', async () => {
    const { authenticator } = await somebodyWithPasskey()
    const [one, other] = [await service.post(`${login}/options`), await service.post(`${login}/options`)]
    const body = { ceremonyToken: one.body.ceremonyToken, credential: authenticator.get(other.body.publicKey) }
    expect(codeOf(await service.post(login, { body }))).toEqual(failed)
  })

  it('is refused when the counter goes back: somebody has copied the key', async () => {
    const { authenticator } = await somebodyWithPasskey()
    expect((await logInBy(authenticator, { counter: 9 })).reply.status).toBe(200)
    expect(codeOf((await logInBy(authenticator, { counter: 9 })).reply)).toEqual(failed)
  })

  it('is refused with the name of somebody else in it', async () => {
    const anna = await somebodyWithPasskey()
    anna.authenticator.userHandle = Buffer.from((await somebody(service)).userId).toString('base64url')
    expect(codeOf((await logInBy(anna.authenticator)).reply)).toEqual(failed)
  })

  it('is over once the passkey was removed', async () => {
    const anna = await somebodyWithPasskey()
    const removed = await service.delete(`/api/v1/users/me/factors/${anna.factorId}`, { token: anna.token })
    expect(removed.status).toBe(204)
    expect(codeOf((await logInBy(anna.authenticator)).reply)).toEqual(failed)
  })
})

describe('a passkey after a password', () => {
  it('is asked for by name, and brings the session', async () => {
    const anna = await somebodyWithPasskey()
    const { challengeToken, factors } = await halfWay(service, anna)
    expect(factors).toEqual([{ factorId: anna.factorId, kind: 'passkey' }])
    const { body: asked } = await mfa(service, { challengeToken, factorId: anna.factorId, send: true })
    expect(asked.sent.publicKey).toMatchObject({
      allowCredentials: [{ id: anna.authenticator.id }],
      rpId: 'example.org',
    })
    const credential = anna.authenticator.get(asked.sent.publicKey)
    const shown = { challengeToken, factorId: anna.factorId, credential }
    const { status, body } = await mfa(service, shown)
    expect(status).toBe(200)
    const [begun] = await log.readStream(`session-${body.sessionId}`)
    expect(begun!.data).toMatchObject({ methods: ['password', 'passkey'] })
    expect(codeOf(await mfa(service, shown))).toEqual(failed)
  })

  it('is refused with what was answered for another login', async () => {
    const anna = await somebodyWithPasskey()
    const [one, other] = [await halfWay(service, anna), await halfWay(service, anna)]
    const { factorId } = anna
    const { body: asked } = await mfa(service, { challengeToken: one.challengeToken, factorId, send: true })
    const credential = anna.authenticator.get(asked.sent.publicKey)
    expect(codeOf(await mfa(service, { challengeToken: other.challengeToken, factorId, credential }))).toEqual(failed)
  })
})
