import { randomBytes, randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type Pool } from '@annals/platform/postgres'
import {
  createKeyReader,
  masterKeysOf,
  sealText,
  UnknownMasterKey,
  wrapKey,
  type MasterKeys,
  type SealedText,
} from '@annals/platform/subject-keys'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { rewrap, usesOf, wrappedKeysOf } from '../../../src/operator/master-keys'
import { commandDatabase } from '../../support/database'
import { password, somebody, startTestService, testEnvironment } from '../../support/service'

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)]
const [oldSecretsKey, newSecretsKey] = [randomBytes(32), randomBytes(32)]
const before = masterKeysOf([oldKey])
/** The first step of a rotation: what is written is wrapped by the old one still. */
const during = masterKeysOf([newKey, oldKey])
const after = masterKeysOf([newKey])
const base64 = (...keys: Buffer[]) => keys.map((key) => key.toString('base64')).join(',')
/** As the operator's command has them, in the middle of a rotation of both kinds. */
const allKeys = () =>
  wrappedKeysOf({ MASTER_KEY: [newKey, oldKey], SECRETS_MASTER_KEY: [newSecretsKey, oldSecretsKey] })
const subjectKeys = (masters: MasterKeys) => ({ ...allKeys()[0]!, masters })

const scope = testScope('file')
let database: TestDatabase
let pool: Pool
beforeAll(async () => {
  database = await scope.database(commandDatabase)
  ;({ pool } = database)
})
beforeEach(() => pool.query('delete from subject_key'))

/** People whose keys are wrapped by a master key, and a text sealed for each. */
async function people(count: number, { current }: MasterKeys): Promise<SealedText[]> {
  const made = Array.from({ length: count }, () => {
    const [subject, key] = [randomUUID(), randomBytes(32)]
    const sealed = sealText(JSON.stringify({ name: subject }), key, 'context')
    return {
      wrapped: wrapKey(key, current, `main|${subject}`),
      part: { tenant: 'main', subject, context: 'context', sealed },
    }
  })
  await pool.query(
    `insert into subject_key (tenant, subject, wrapped_key, master_key_id)
     select 'main', subject, wrapped_key, $3 from unnest($1::text[], $2::bytea[]) as k (subject, wrapped_key)`,
    [made.map(({ part }) => part.subject), made.map(({ wrapped }) => wrapped), current.id],
  )
  return made.map(({ part }) => part)
}

/** The pool, with something done before the n-th update. */
function interrupted(at: number, act: () => Promise<unknown>): Pool {
  let updates = 0
  const query = async (text: string, values: unknown[]) => {
    if (text.startsWith('update') && ++updates === at) await act()
    return pool.query(text, values)
  }
  return Object.assign(Object.create(pool) as Pool, { query })
}

const openedBy = async (masters: MasterKeys, parts: SealedText[]) =>
  (await createKeyReader(pool, masters).openAll(parts)).map((opened) => (opened as { name: string } | null)?.name)
const namesOf = (parts: SealedText[]) => parts.map(({ subject }) => subject)

describe('wrapping data keys anew', () => {
  it('makes them open under the new master key alone, and changes nothing else', async () => {
    const parts = [...(await people(700, before)), ...(await people(3, during))]
    await expect(openedBy(after, parts)).rejects.toThrow(UnknownMasterKey)
    expect(await rewrap(pool, subjectKeys(during))).toMatchObject({ rewrapped: 700, unknown: [], brokenRows: 0 })
    expect(await openedBy(after, parts)).toEqual(namesOf(parts))
    expect(await rewrap(pool, subjectKeys(during))).toMatchObject({ rewrapped: 0 })
  })

  it('goes on where a run was killed; both keys read meanwhile', async () => {
    const parts = await people(1_200, before)
    const killed = rewrap(
      interrupted(2, () => Promise.reject(new Error('killed'))),
      subjectKeys(during),
    )
    await expect(killed).rejects.toThrow('killed')
    expect(await openedBy(during, parts)).toEqual(namesOf(parts))
    expect(await usesOf(pool, subjectKeys(during))).toEqual([
      { masterKeyId: after.current.id, dataKeys: 500, state: 'current' },
      { masterKeyId: before.current.id, dataKeys: 700, state: 'known' },
    ])
    expect(await rewrap(pool, subjectKeys(during))).toMatchObject({ rewrapped: 700 })
    expect(await openedBy(after, parts)).toEqual(namesOf(parts))
  })

  it('brings back no key that is destroyed while it runs', async () => {
    const [erased, other] = await people(2, before)
    const destroy = () =>
      pool.query('update subject_key set wrapped_key = null, destroyed_at = now() where subject = $1', [
        erased!.subject,
      ])
    expect(await rewrap(interrupted(1, destroy), subjectKeys(during))).toMatchObject({ rewrapped: 1 })
    expect(await openedBy(after, [erased!, other!])).toEqual([undefined, other!.subject])
  })

  it('leaves what does not unwrap, says which, and wraps the rest', async () => {
    const parts = await people(5, before)
    const [swapped, foreign] = [await people(2, before), await people(1, masterKeysOf([randomBytes(32)]))]
    const { rows } = await pool.query('select wrapped_key from subject_key where subject = $1', [swapped[0]!.subject])
    await pool.query('update subject_key set wrapped_key = $1 where subject = $2', [
      rows[0].wrapped_key,
      swapped[1]!.subject,
    ])
    const rowOf = async () =>
      (
        await pool.query('select * from subject_key where subject = any ($1)', [
          [swapped[1]!.subject, foreign[0]!.subject],
        ])
      ).rows
    const untouched = await rowOf()
    const result = await rewrap(pool, subjectKeys(during))
    expect(result).toEqual({
      rewrapped: 6,
      unknown: [
        { masterKeyId: untouched.find(({ subject }) => subject === foreign[0]!.subject).master_key_id, rows: 1 },
      ],
      broken: [`main|${swapped[1]!.subject}`],
      brokenRows: 1,
    })
    expect(await rowOf()).toEqual(untouched)
    expect(await openedBy(after, parts)).toEqual(namesOf(parts))
  })
})

describe('a rotation under a running command API', () => {
  it('lets everybody log in at every step, and tells a missing key as an outage', async () => {
    const environment = testEnvironment({
      COMMAND_DATABASE_URL: database.url,
      PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    })
    const steps = {
      before: [base64(oldKey), base64(oldSecretsKey)],
      during: [base64(newKey, oldKey), base64(newSecretsKey, oldSecretsKey)],
      after: [base64(newKey), base64(newSecretsKey)],
      // Of one kind only.
      secretsLeft: [base64(newKey, oldKey), base64(newSecretsKey)],
    }
    const at = async <T>(
      step: keyof typeof steps,
      work: (service: Awaited<ReturnType<typeof startTestService>>) => T,
    ) => {
      const [MASTER_KEY, SECRETS_MASTER_KEY] = steps[step] as [string, string]
      const service = await startTestService(scope, { ...environment, MASTER_KEY, SECRETS_MASTER_KEY })
      try {
        return await work(service)
      } finally {
        await service.close()
      }
    }
    const logins = (step: keyof typeof steps, emails: string[]) =>
      at(step, (service) =>
        Promise.all(
          emails.map(async (email) => {
            const { status, body } = await service.post('/api/v1/auth/login', { body: { email, password } })
            return status === 200 ? 200 : body.code
          }),
        ),
      )
    const { email: first } = await at('before', (service) => somebody(service))
    const { email: second } = await at('during', (service) => somebody(service))
    expect(await logins('during', [first, second])).toEqual([200, 200])
    const none = 'dependency-unavailable'
    expect(await logins('after', [first, second])).toEqual([none, none])
    expect(await logins('secretsLeft', [first, second])).toEqual([none, none])
    for (const keys of allKeys()) expect((await rewrap(pool, keys)).rewrapped).toBe(1)
    expect(await logins('during', [first, second])).toEqual([200, 200])
    expect(await logins('after', [first, second])).toEqual([200, 200])
    expect(await logins('before', [first])).toEqual([none])
  })
})
