import { randomBytes, randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import bcrypt from 'bcrypt'
import { decodeAll, secretPartOf, streamOf, type RecordedEvent } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { derivedId } from '@annals/platform/ids'
import { type Pool } from '@annals/platform/postgres'
import {
  BrokenSeal,
  createDataKeys,
  createKeyReader,
  masterKeysOf,
  openText,
  secretSealingKey,
} from '@annals/platform/subject-keys'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { createAddressHash } from '../../../src/accounts/commands/registration'
import { commandIdOf } from '../../../src/core/command-context'
import { createKeyWriter } from '../../../src/core/key-writer'
import { createSecretKeys } from '../../../src/core/secret-keys'
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
let database: TestDatabase
let pool: Pool
let log: EventLog
let environment: Environment
let service: TestService
const mastersOf = (name: string) => masterKeysOf([Buffer.from(environment[name]!, 'base64')])

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  ;({ pool } = database)
  environment = testEnvironment({ COMMAND_DATABASE_URL: database.url, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  service = await startTestService(scope, environment)
})

/** The same in another process, which has no key in its cache. */
async function elsewhere<T>(work: (service: TestService) => Promise<T>, over: Environment = {}): Promise<T> {
  const other = await startTestService(scope, { ...environment, ...over })
  try {
    return await work(other)
  } finally {
    await other.close()
  }
}
const login = ({ email }: { email: string }, over?: Environment) =>
  elsewhere(async (other) => {
    const { status, body } = await other.post('/api/v1/auth/login', { body: { email, password } })
    return status === 200 ? 200 : body.code
  }, over)

async function credentialOf({ userId }: { userId: string }): Promise<RecordedEvent> {
  const [registered] = await log.readStream(streamOf.user(userId))
  const { credentialId } = registered!.data as { credentialId: string }
  return (await log.readStream(streamOf.credential(credentialId)))[0]!
}

describe('the hash of a password', () => {
  let anna: Person
  beforeEach(async () => void (anna = await somebody(service)))

  it('does not open with all that a reader has: the log, the key table, its master key', async () => {
    const recorded = await credentialOf(anna)
    expect(recorded).toMatchObject({ type: 'credential.set', metadata: { schemaVersion: 2 } })
    expect(Object.keys(recorded.data as object).toSorted()).toEqual(['credentialId', 'secret', 'userId'])
    const [decoded] = await decodeAll([recorded], createKeyReader(pool, mastersOf('MASTER_KEY')).openAll)
    expect(decoded).toMatchObject({ kind: 'event', event: { data: { passwordHash: null } } })

    const { sealed, context } = secretPartOf(recorded)!
    const owner = { tenant: 'main', subject: anna.userId }
    const [dataKey] = await createDataKeys(pool, mastersOf('MASTER_KEY')).of([owner])
    const master = mastersOf('MASTER_KEY').current.key
    for (const secretKey of [Buffer.alloc(0), dataKey as Buffer, master])
      for (const salt of [dataKey as Buffer, master])
        expect(() => openText(sealed, secretSealingKey(secretKey, salt), context)).toThrow()
    expect(() => openText(sealed, dataKey as Buffer, context)).toThrow()
  })

  it('has its key in a table that the readers’ role may not look at', async () => {
    const { rows } = await pool.query(
      `select has_table_privilege('annals_keys_reader', 'subject_key', 'select') as personal,
         has_table_privilege('annals_keys_reader', 'secret_key', 'select') as secrets`,
    )
    expect(rows).toEqual([{ personal: true, secrets: false }])
  })

  it('opens in its own event only, and unchanged', async () => {
    const keys = createKeyWriter({
      pool,
      masters: mastersOf('MASTER_KEY'),
      secretMasters: mastersOf('SECRETS_MASTER_KEY'),
      log,
    })
    const part = secretPartOf(await credentialOf(anna))!
    const berta = await somebody(service)
    const broken = expect.any(BrokenSeal)
    expect(
      await keys.openSecrets([
        part,
        { ...part, context: secretPartOf(await credentialOf(berta))!.context },
        { ...part, subject: berta.userId },
        { ...part, sealed: part.sealed.slice(0, -2) },
        { ...part, sealed: '' },
      ]),
    ).toEqual([
      { passwordHash: expect.stringMatching(/^\$annals\$v2\$k=[0-9a-f]{16}\$2b\$10\$/) },
      broken,
      broken,
      broken,
      broken,
    ])
  })

  it('is erased with its person', async () => {
    await pool.query('update subject_key set wrapped_key = null, destroyed_at = now() where subject = $1', [
      anna.userId,
    ])
    expect(await login(anna)).toBe('invalid-credentials')
  })
})

describe('a hash that a former release sealed as personal data', () => {
  it('is read: a registration that died then is completed, and the login works', async () => {
    const [email, key] = [newEmail(), randomUUID()]
    const principal = createAddressHash(Buffer.from(environment['RESERVATION_KEY']!, 'base64'), 'main')(email)
    const route = 'POST /api/v1/auth/register'
    const commandId = commandIdOf({ tenant: 'main', principal, route, idempotencyKey: key })
    const [userId, credentialId] = [derivedId('user', commandId), derivedId(commandId, 'credential')]
    const keys = createKeyWriter({
      pool,
      masters: mastersOf('MASTER_KEY'),
      secretMasters: mastersOf('SECRETS_MASTER_KEY'),
      log,
    })
    const { seal } = await keys.sealFor('main', { subjects: [userId], secrets: false })
    const passwordHash = await bcrypt.hash(password, 10)
    const id = randomUUID()
    const context = `main|${userId}|credential.set|${id}`
    const metadata = {
      schemaVersion: 1,
      tenant: 'main',
      commandId: randomUUID(),
      correlationId: 'c',
      causationId: commandId,
      actor: { type: 'user', id: userId },
      occurredAt: new Date().toISOString(),
      source: 'command-service',
      subject: userId,
    }
    const sealed = seal({ tenant: 'main', subject: userId, context }, { passwordHash })
    const data = { userId, credentialId, sealed }
    await log.append(streamOf.credential(credentialId), [{ id, type: 'credential.set', data, metadata }], -1)

    const { status, body } = await service.post('/api/v1/auth/register', {
      body: { email, password, name: 'Ada' },
      headers: { 'idempotency-key': key },
    })
    expect([status, body.userId]).toEqual([201, userId])
    expect((await log.readStream(streamOf.credential(credentialId))).map((event) => event.id)).toEqual([id])
    expect(await login({ email })).toBe(200)
  })
})

describe('the table of secret keys', () => {
  it('that lost its row locks the logins that need it, makes a new one for others, and heals when the row is back', async () => {
    const before = await somebody(service)
    const { rows } = await pool.query('delete from secret_key returning *')
    expect(rows).toHaveLength(1)
    expect(await login(before)).toBe('personal-data-locked')
    const after = await elsewhere((other) => somebody(other))
    expect(await login(before)).toBe('personal-data-locked')
    for (const row of rows)
      await pool.query(
        'insert into secret_key (tenant, key_id, wrapped_key, master_key_id, created_at) values ($1, $2, $3, $4, $5)',
        [row.tenant, row.key_id, row.wrapped_key, row.master_key_id, row.created_at],
      )
    expect(await login(before)).toBe(200)
    expect(await login(after)).toBe(200)
  })

  it('whose master key is another is an outage, not a wrong password', async () => {
    const anna = await somebody(service)
    const over = { SECRETS_MASTER_KEY: randomBytes(32).toString('base64') }
    expect(await login(anna, over)).toBe('dependency-unavailable')
  })

  it('has one key for all who seal, however many begin at once', async () => {
    const tenant = `t-${randomUUID().slice(0, 8)}`
    const masters = mastersOf('SECRETS_MASTER_KEY')
    const made = await Promise.all(Array.from({ length: 8 }, () => createSecretKeys(pool, masters).current(tenant)))
    // Two may be made at the same moment; what each has sealed with is there for ever.
    const fresh = await createSecretKeys(pool, masters).of(
      tenant,
      made.map(({ id }) => id),
    )
    for (const { id, key } of made) expect(fresh.get(id)).toEqual(key)
    const later = await Promise.all(Array.from({ length: 4 }, () => createSecretKeys(pool, masters).current(tenant)))
    expect(new Set(later.map(({ id }) => id)).size).toBe(1)
  })
})

describe('the configuration', () => {
  it('refuses one master key for both: every reader would open secrets', async () => {
    const { MASTER_KEY } = environment
    await expect(startTestService(scope, { ...environment, SECRETS_MASTER_KEY: MASTER_KEY! })).rejects.toThrow(
      'SECRETS_MASTER_KEY: must hold no key of MASTER_KEY',
    )
  })
})
