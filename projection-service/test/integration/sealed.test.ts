import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import { streamOf, type RecordedEvent, type Seal } from '@annals/contracts'
import { createPool } from '@annals/platform/postgres'
import { createKeyReader, masterKeysOf, sealText, UnknownSubject, wrapKey } from '@annals/platform/subject-keys'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { parkedStreams, retryParked } from '../../src/engine/parking/parked'
import { compareStream } from '../../src/drift/stream-comparison'
import { refoldStream } from '../../src/drift/refold'
import { activity, payments, userLogins, users } from '../../src/projections'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { startTestApi } from '../support/api'
import { projectionDatabase, silent } from '../support/database'
import { openOwnLog, type OwnLog } from '../support/own-log'
import { rebuildDependencies } from '../support/own-world'
import { createReadModels } from '../support/read-models'

jest.setTimeout(60_000)

const masters = masterKeysOf([Buffer.alloc(32, 7)])
const keyTable = path.join(__dirname, '../../../command-service/migrations/0001-subject-key.sql')

const scope = testScope()
let database: TestDatabase
let own: OwnLog
let keys: Map<string, Buffer>
/** Whose seal is made for another place. */
let broken: string | undefined

beforeEach(async () => {
  database = await scope.database(projectionDatabase)
  await database.pool.query(readFileSync(keyTable, 'utf8'))
  keys = new Map()
  broken = undefined
  const seal: Seal = ({ subject, context }, personal) =>
    sealText(JSON.stringify(personal), keys.get(subject)!, subject === broken ? 'elsewhere' : context)
  own = await openOwnLog(scope, seal)
})

async function newPerson(): Promise<string> {
  const userId = randomUUID()
  const key = randomBytes(32)
  keys.set(userId, key)
  await database.pool.query(
    `insert into subject_key (tenant, subject, wrapped_key, master_key_id) values ('main', $1, $2, $3)`,
    [userId, wrapKey(key, masters.current, `main|${userId}`), masters.current.id],
  )
  return userId
}

/** Three people in the log. @param seals whether the seal of the second opens. */
async function threePeople(seals = false): Promise<{ people: string[]; events: RecordedEvent[] }> {
  const people = [await newPerson(), await newPerson(), await newPerson()]
  broken = seals ? undefined : people[1]
  for (const userId of people) {
    const data = {
      userId,
      email: `${userId}@example.org`,
      name: 'Ada',
      locale: 'en' as const,
      roles: ['user' as const],
      credentialId: randomUUID(),
      emailProved: false,
    }
    await own.append(streamOf.user(userId), 0, { type: 'user.registered', data })
  }
  return { people, events: await own.events() }
}

const rowsOf = async () => {
  const { rows } = await database.pool.query<{ user_id: string; email: string }>(
    'select user_id, email from users.account',
  )
  return new Map(rows.map(({ user_id, email }) => [user_id, email]))
}
const theTwo = ([first, , third]: readonly string[]) =>
  new Map([first!, third!].map((userId) => [userId, `${userId}@example.org`]))
const parked = () => parkedStreams(database.pool, users, 10)

describe('an event whose seal does not open', () => {
  it('is parked, and holds up nobody else', async () => {
    const { people, events } = await threePeople()
    const { openAll } = createKeyReader(database.pool, masters)
    await (await createReadModels(database.pool, [users], openAll)).feed(events)
    expect(await rowsOf()).toEqual(theTwo(people))
    expect(await parked()).toMatchObject([
      {
        stream: `user-${people[1]}`,
        revision: 0,
        error: expect.stringMatching(/^personal data: the seal does not open/),
      },
    ])
    // Nor does asking again help; nothing of the text is told.
    const again = await retryParked(database.pool, users, `user-${people[1]}`, openAll, 'ada')
    expect(again).toMatchObject({ applied: 0, error: { message: expect.stringMatching(/^personal data/) } })
  })

  it('is parked by a rebuild as well, which equals the live read model', async () => {
    const { people, events } = await threePeople()
    const { openAll } = createKeyReader(database.pool, masters)
    await (await createReadModels(database.pool, [users], openAll)).feed(events)
    await rebuildAll([users], rebuildDependencies({ database, own }, { openAll }))
    const { rows } = await database.pool.query(`select state from annals.rebuild`)
    expect(rows).toEqual([{ state: 'live' }])
    expect(await rowsOf()).toEqual(theTwo(people))
    expect(await parked()).toMatchObject([{ stream: `user-${people[1]}` }])
  })

  it('does not matter to a read model that shows nothing personal', async () => {
    const { events } = await threePeople()
    const { openAll } = createKeyReader(database.pool, masters)
    await (await createReadModels(database.pool, [payments], openAll)).feed(events)
    expect(await parkedStreams(database.pool, payments, 10)).toEqual([])
  })
})

describe('an event of a person whose row in the key table was lost', () => {
  /** Three people in the log; the row of the second is gone. @returns what puts it back. */
  async function oneLost() {
    const { people, events } = await threePeople(true)
    const { rows } = await database.pool.query('delete from subject_key where subject = $1 returning *', [people[1]])
    const putBack = () =>
      database.pool.query(
        'insert into subject_key (tenant, subject, wrapped_key, master_key_id) values ($1, $2, $3, $4)',
        [rows[0].tenant, rows[0].subject, rows[0].wrapped_key, rows[0].master_key_id],
      )
    return { people, events, putBack }
  }

  it('is parked, holds up nobody else, and is healed by a retry once the row is back', async () => {
    const { people, events, putBack } = await oneLost()
    const { openAll } = createKeyReader(database.pool, masters)
    await (await createReadModels(database.pool, [users], openAll)).feed(events)
    expect(await rowsOf()).toEqual(theTwo(people))
    const error = expect.stringMatching(/^personal data: the key table has no row of/)
    expect(await parked()).toMatchObject([{ stream: `user-${people[1]}`, revision: 0, error }])

    const stream = `user-${people[1]}`
    expect(await retryParked(database.pool, users, stream, openAll, 'ada')).toMatchObject({ applied: 0 })
    await putBack()
    expect(await retryParked(database.pool, users, stream, openAll, 'ada')).toEqual({ applied: 1, error: undefined })
    expect(await parked()).toEqual([])
    expect(await rowsOf()).toEqual(new Map(people.map((userId) => [userId, `${userId}@example.org`])))
  })

  it('answers queries about that person with a problem, and about others as ever', async () => {
    const { people, events } = await oneLost()
    const { openAll } = createKeyReader(database.pool, masters)
    await (await createReadModels(database.pool, [users, userLogins, activity], openAll)).feed(events)
    const api = await startTestApi(scope, { pool: database.pool })
    const me = async (userId: string) => api.get('/users/me', { token: await api.tokenFor(userId) })
    expect((await me(people[0]!)).status).toBe(200)
    const { status, body } = await me(people[1]!)
    expect([status, body['code']]).toEqual([503, 'read-model-parked'])
  })

  it('that was folded before is no drift, and can not be refolded into nothing', async () => {
    const { people, events } = await threePeople(true)
    const { openAll } = createKeyReader(database.pool, masters)
    await (await createReadModels(database.pool, [users], openAll)).feed(events)
    await database.pool.query('delete from subject_key where subject = $1', [people[1]])
    const stream = `user-${people[1]}`
    const fresh = { pool: database.pool, log: own.log, openAll: createKeyReader(database.pool, masters).openAll }
    expect(await compareStream(users, 'live', stream, fresh)).toEqual({ kind: 'passed-over', reason: 'key-missing' })
    await expect(refoldStream(users, stream, { ...fresh, actor: 'ada' })).rejects.toThrow(/put it back first/)
    expect((await rowsOf()).size).toBe(3)
  })
})

describe('keys that can not be read', () => {
  it.each([
    ['the key table is away', () => createKeyReader(createPool('postgres://127.0.0.1:1/none', silent, 1), masters)],
    ['the master key is another', () => createKeyReader(database.pool, masterKeysOf([Buffer.alloc(32, 9)]))],
  ])('make the partition wait and park nothing: %s', async (_, reader) => {
    const { people, events } = await threePeople()
    const models = await createReadModels(database.pool, [users], reader().openAll)
    await expect(models.feed(events)).rejects.toThrow()
    expect(await parked()).toEqual([])
    expect((await rowsOf()).size).toBe(0)
    await (await createReadModels(database.pool, [users], createKeyReader(database.pool, masters).openAll)).feed(events)
    expect(await rowsOf()).toEqual(theTwo(people))
  })

  it('make the partition wait when the table has nobody’s key', async () => {
    const { people, events } = await threePeople(true)
    const { openAll } = createKeyReader(database.pool, masters)
    const models = await createReadModels(database.pool, [users], openAll)
    await database.pool.query('create table kept as table subject_key; delete from subject_key')
    await expect(models.feed(events)).rejects.toThrow(UnknownSubject)
    expect(await parked()).toEqual([])
    await database.pool.query('insert into subject_key table kept')
    await models.feed(events)
    expect((await rowsOf()).size).toBe(people.length)
  })
})
