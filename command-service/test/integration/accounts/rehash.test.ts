import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { beforeAll, describe, expect, it } from '@jest/globals'
import bcrypt from 'bcrypt'
import { secretPartOf, streamOf } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { masterKeysOf } from '@annals/platform/subject-keys'
import { eventually, testScope, type TestDatabase } from '@annals/platform/testing'
import { peppersOf } from '../../../src/accounts/password-forms'
import { createPasswords } from '../../../src/accounts/passwords'
import { createKeyWriter } from '../../../src/core/key-writer'
import { commandDatabase, silent } from '../../support/database'
import { formerAccounts, type FormerAccount } from '../../support/former-accounts'
import {
  fromNewNetwork,
  newEmail,
  password,
  startTestService,
  testEnvironment,
  type Environment,
  type TestService,
} from '../../support/service'

const scope = testScope('file')
let database: TestDatabase
let environment: Environment
let log: EventLog
let account: (passwordHash: string) => Promise<FormerAccount>
/** At cost 4, under the key of the environment. */
let service: TestService
let other: TestService
/** That nobody listens on for now. */
const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
const keyId = (key: string) => peppersOf([Buffer.from(key, 'base64')]).current.id
const formOf = (key: string, cost: number) => `$annals$v2$k=${keyId(key)}$2b$${String(cost).padStart(2, '0')}$`

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    TRUSTED_PROXIES: '127.0.0.1',
  })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  account = formerAccounts(scope, environment, database)
  service = await startTestService(scope, environment, { BCRYPT_COST: 4 })
  other = await startTestService(scope, environment, { BCRYPT_COST: 4 })
})

const login = (email: string, given = password, through = service) =>
  through.post('/api/v1/auth/login', { body: { email, password: given }, headers: fromNewNetwork() })

/** Every hash that an account has had. */
async function hashesOf({ credentialId }: Pick<FormerAccount, 'credentialId'>): Promise<string[]> {
  const masters = (name: string) => masterKeysOf([Buffer.from(environment[name]!, 'base64')])
  const keys = createKeyWriter({
    pool: database.pool,
    masters: masters('MASTER_KEY'),
    secretMasters: masters('SECRETS_MASTER_KEY'),
    log,
  })
  const parts = (await log.readStream(streamOf.credential(credentialId))).map((event) => secretPartOf(event)!)
  return (await keys.openSecrets(parts)).map((opened) => (opened as { passwordHash: string }).passwordHash)
}
const metricOf = async (through: TestService, name: string) => {
  const [, count] = new RegExp(`^${name}.* (\\d+)$`, 'm').exec(await through.metrics()) ?? []
  return Number(count ?? 0)
}
const rehashesOf = (through: TestService, outcome: string) =>
  metricOf(through, `annals_command_password_rehashes_total\\{outcome="${outcome}"`)

describe('a login with a hash of form v1', () => {
  it('works, and has it replaced by one of today, which the next login is compared with', async () => {
    const anna = await account(await bcrypt.hash(password, 4))
    expect((await login(anna.email, 'wrong horse battery')).status).toBe(401)
    expect(await hashesOf(anna)).toHaveLength(1)
    expect((await login(anna.email)).status).toBe(200)
    const hashes = await eventually(async () => {
      const found = await hashesOf(anna)
      expect(found).toHaveLength(2)
      return found
    })
    expect(hashes[1]!.startsWith(formOf(environment['PASSWORD_PEPPER']!, 4))).toBe(true)
    const [, rehashed] = await log.readStream(streamOf.credential(anna.credentialId))
    expect(rehashed).toMatchObject({
      type: 'credential.rehashed',
      metadata: { actor: { type: 'system', id: 'password-rehash' }, subject: anna.userId },
    })
    expect(JSON.stringify(rehashed!.data)).not.toContain('$2b$')
    for (const through of [service, other]) {
      expect((await login(anna.email, password, through)).status).toBe(200)
      expect((await login(anna.email, 'wrong horse battery', through)).status).toBe(401)
    }
    expect(await hashesOf(anna)).toEqual(hashes)
  })

  it('is replaced once, by however many logins at the same time at two processes', async () => {
    const anna = await account(await bcrypt.hash(password, 4))
    const attempts = Array.from({ length: 6 }, (_, i) => login(anna.email, password, i % 2 ? service : other))
    expect(new Set((await Promise.all(attempts)).map(({ status }) => status))).toEqual(new Set([200]))
    await eventually(async () => expect(await hashesOf(anna)).toHaveLength(2))
    // Closing waits for what still runs.
    for (const through of [service, other]) await through.close()
    expect(await hashesOf(anna)).toHaveLength(2)
    ;[service, other] = (await Promise.all(
      [1, 2].map(() => startTestService(scope, environment, { BCRYPT_COST: 4 })),
    )) as [TestService, TestService]
    expect((await login(anna.email)).status).toBe(200)
  })

  it('stays valid when the process is killed before the hash is replaced, and is replaced at the next', async () => {
    const anna = await account(await bcrypt.hash(password, 4))
    const port = await freePort()
    // Its hashes take half a second at least: the answer comes before.
    const process = scope.process([path.join(__dirname, '../../../dist/api/main.js')], {
      env: { ...environment, BCRYPT_COST: '13', HTTP_PORT: String(port), OPERATIONS_PORT: '0', LOG_LEVEL: 'silent' },
    })
    const attempt = () =>
      fetch(`http://127.0.0.1:${port}/api/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...fromNewNetwork() },
        body: JSON.stringify({ email: anna.email, password }),
      })
    expect((await eventually(attempt, { withinMs: 30_000 })).status).toBe(200)
    await process.end('SIGKILL')
    expect(await hashesOf(anna)).toHaveLength(1)
    expect((await login(anna.email)).status).toBe(200)
    await eventually(async () => expect(await hashesOf(anna)).toHaveLength(2))
  }, 60_000)

  it('that was set under a former policy stays valid, whatever passwords have to be today', async () => {
    const anna = await account(await bcrypt.hash('swordfish', 4))
    expect((await login(anna.email, 'swordfish')).status).toBe(200)
    const register = (key?: string, email = anna.email) =>
      service.post('/api/v1/auth/register', {
        body: { email, password: 'swordfish', name: 'Anna' },
        headers: key ? { 'idempotency-key': key } : {},
      })
    // The registration is a fact: its repeat is answered as it was.
    const repeated = await register(anna.idempotencyKey)
    expect([repeated.status, repeated.body.userId]).toEqual([201, anna.userId])
    for (const again of [await register(), await register(anna.idempotencyKey, newEmail())])
      expect([again.status, again.body.code]).toEqual([422, 'password-too-short'])
  })
})

describe('after the cost was raised, and lowered', () => {
  it('each login has its hash replaced', async () => {
    const anna = await account(await bcrypt.hash(password, 4))
    for (const cost of [6, 5]) {
      const changed = await startTestService(scope, environment, { BCRYPT_COST: cost })
      expect((await login(anna.email, password, changed)).status).toBe(200)
      // It ends what it has begun to hash, and begins nothing more.
      await eventually(async () => expect(await rehashesOf(changed, 'done')).toBe(1))
      await changed.close()
    }
    const pepper = environment['PASSWORD_PEPPER']!
    const [, second, third] = await hashesOf(anna)
    expect(second!.startsWith(formOf(pepper, 6))).toBe(true)
    expect(third!.startsWith(formOf(pepper, 5))).toBe(true)
  })
})

describe('a new key of PASSWORD_PEPPER', () => {
  const next = randomBytes(32).toString('base64')
  const withKeys = (...keys: string[]) =>
    startTestService(scope, { ...environment, PASSWORD_PEPPER: keys.join(',') }, { BCRYPT_COST: 4 })

  it('takes over at logins; without the former key those who have not logged in match nothing', async () => {
    const former = environment['PASSWORD_PEPPER']!
    const own = createPasswords({
      cost: 4,
      peppers: peppersOf([Buffer.from(former, 'base64')]),
      concurrency: 1,
      queueMax: 1,
    })
    const place = { purpose: 'login', client: 'test' } as const
    const [anna, berta] = [
      await account(await own.hash(password, place)),
      await account(await own.hash(password, place)),
    ]
    // Step 1 of the runbook: known everywhere before it makes anything.
    const knowing = await withKeys(former, next)
    expect((await login(anna.email, password, knowing)).status).toBe(200)
    expect(await hashesOf(anna)).toHaveLength(1)

    const both = await withKeys(next, former)
    expect((await login(anna.email, password, both)).status).toBe(200)
    await eventually(async () => expect(await rehashesOf(both, 'done')).toBe(1))
    expect((await hashesOf(anna))[1]!.startsWith(formOf(next, 4))).toBe(true)
    // A process that was not started again yet knows the next key, and makes its hashes with the former one.
    expect((await login(anna.email, password, knowing)).status).toBe(200)
    await eventually(async () => expect(await rehashesOf(knowing, 'done')).toBe(1))
    await knowing.close()
    expect((await login(anna.email, password, both)).status).toBe(200)
    await eventually(async () => expect(await rehashesOf(both, 'done')).toBe(2))
    await both.close()

    const alone = await withKeys(next)
    expect((await login(anna.email, password, alone)).status).toBe(200)
    expect(await metricOf(alone, 'annals_command_password_keys_missing_total')).toBe(0)
    const lost = await login(berta.email, password, alone)
    const nobody = await login(newEmail(), password, alone)
    const { correlationId: _one, ...answer } = lost.body
    const { correlationId: _two, ...expected } = nobody.body
    expect([lost.status, answer]).toEqual([401, expected])
    expect(await metricOf(alone, 'annals_command_password_keys_missing_total')).toBe(1)
    await alone.close()

    // The key was only forgotten: put back, it heals all.
    const healed = await withKeys(next, former)
    expect((await login(berta.email, password, healed)).status).toBe(200)
  })

  it.each([
    ['none', ''],
    ['a short one', randomBytes(16).toString('base64')],
    ['the same one twice', `${next},${next}`],
  ])('is refused when it is %s', async (_, PASSWORD_PEPPER) => {
    await expect(startTestService(scope, { ...environment, PASSWORD_PEPPER })).rejects.toThrow('PASSWORD_PEPPER')
  })
})
