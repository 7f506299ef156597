import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { AuditPage, type RecordedEvent } from '@annals/contracts'
import { begunChain, linkHash, type ChainHead } from '@annals/platform/hash-chain'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { createCatchUp } from '../../src/engine/live/catch-up'
import { audit } from '../../src/projections'
import { startTestApi, type TestApi } from '../support/api'
import { projectionDatabase, silent } from '../support/database'
import { opensNothing } from '../support/facts'
import { openOwnLog, type OwnLog } from '../support/own-log'
import { createReadModels, nobody } from '../support/read-models'

const scope = testScope('file')
let database: TestDatabase
let own: OwnLog
let api: TestApi
let token: string
let events: RecordedEvent[]
const user = randomUUID()

/** What only the person's key opens. */
const secretIp = '203.0.113.77'

beforeAll(async () => {
  database = await scope.database(projectionDatabase)
  own = await openOwnLog(scope, () => 'c2VhbGVk')
  const { feed } = await createReadModels(database.pool, [audit])
  await own.pay(30, 1, '2026-03-01T10:00:00.000Z')
  const sessionId = randomUUID()
  const session = `session-${sessionId}`
  const methods = ['password' as const]
  const data = { sessionId, userId: user, methods, epoch: 1, ip: secretIp, userAgent: 'A browser' }
  await own.append(session, 0, { type: 'user.login', data: { ...data, expiresAt: '2027-01-01T00:00:00.000Z' } })
  const reason = 'refresh-token-reused' as const
  await own.append(session, 1, { type: 'session.ended', data: { sessionId, userId: user, reason } })
  events = await own.events()
  await feed(events)
  await createCatchUp([audit], {
    pool: database.pool,
    openAll: opensNothing,
    log: silent,
    eventLog: own.log,
    observer: nobody,
  }).round()
  api = await startTestApi(scope, { pool: database.pool })
  token = await api.tokenFor(randomUUID(), { roles: ['user', 'admin'] })
})

const list = async (query = '') => {
  const { status, body } = await api.get(`/audit${query}`, { token })
  expect(status).toBe(200)
  return AuditPage.parse(body)
}

async function allPages(query: string) {
  const items = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await list(`?${query}${cursor ? `&cursor=${cursor}` : ''}`)
    items.push(...page.items)
    cursor = page.nextCursor
  }
  return items
}

describe('the audit trail', () => {
  it('tells every fact once, newest first, in pages', async () => {
    const items = await allPages('limit=7')
    expect(items.map(({ id }) => id)).toEqual(events.map(({ id }) => id).toReversed())
  })

  it('tells of a person what they did and what was done to what is theirs', async () => {
    const items = await allPages(`userId=${user}&limit=1`)
    expect(items).toMatchObject([
      { type: 'session.ended', result: 'denied', reason: 'refresh-token-reused', userId: user, actorId: 'test' },
      { type: 'user.login', result: 'success', reason: 'password', userId: user, actorType: 'system' },
    ])
  })

  it('is filtered by type, result and time', async () => {
    expect(await allPages('type=payment.created&limit=100')).toHaveLength(30)
    expect(await allPages('result=denied')).toMatchObject([{ type: 'session.ended' }])
    expect(await allPages('from=2026-03-01T10:00:00Z&to=2026-03-01T10:00:00.001Z&limit=100')).toHaveLength(90)
    expect(await allPages('to=2026-03-01T10:00:00Z')).toEqual([])
  })

  it('is for administrators', async () => {
    for (const path of ['/audit', '/audit/export']) {
      expect((await api.get(path)).status).toBe(401)
      expect((await api.get(path, { token: await api.tokenFor(user) })).status).toBe(403)
    }
  })

  it.each([
    'userId=1',
    'type=DROP%20TABLE',
    'result=fine',
    'from=yesterday',
    'limit=0',
    'cursor=bm9uc2Vuc2U',
    'other=1',
    'type=a&type=b',
  ])('refuses ?%s', async (query) => {
    expect((await api.get(`/audit?${query}`, { token })).status).toBe(400)
  })

  it('refuses the cursor of another filter', async () => {
    const { nextCursor } = await list('?limit=1')
    expect((await api.get(`/audit?limit=1&result=success&cursor=${nextCursor}`, { token })).status).toBe(400)
  })

  it('is exported as lines of JSON from which its hashes can be checked', async () => {
    const { status, text, headers } = await api.text('/audit/export', { token })
    expect(status).toBe(200)
    expect(headers.get('content-type')).toContain('application/x-ndjson')
    expect(headers.get('cache-control')).toContain('no-store')
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ id }) => id)).toEqual(events.map(({ id }) => id))
    const heads = new Map<string, ChainHead>()
    for (const { topic, partition, sequence, position, contentHash, previousHash, hash } of lines) {
      const before = heads.get(`${topic}/${partition}`) ?? begunChain
      expect(sequence).toBe(Number(before.sequence) + 1)
      expect(previousHash).toBe(before.hash)
      expect(hash).toBe(linkHash({ topic, partition }, before, contentHash))
      heads.set(`${topic}/${partition}`, { sequence: BigInt(sequence), hash, position: BigInt(position) })
    }
  })

  it('is exported as CSV with the same filters', async () => {
    const { status, text, headers } = await api.text('/audit/export?format=csv&type=payment.created', { token })
    expect(status).toBe(200)
    expect(headers.get('content-type')).toContain('text/csv')
    expect(headers.get('content-disposition')).toBe('attachment; filename="audit.csv"')
    const [header, ...lines] = text.trimEnd().split('\r\n')
    expect(header).toMatch(/^id,type,at,actorType,/)
    expect(lines).toHaveLength(30)
    expect((await api.text('/audit/export?format=xml', { token })).status).toBe(400)
  })

  it('holds nothing personal', async () => {
    const { rows } = await database.pool.query('select e::text as row from audit.entry e')
    const all = rows.map(({ row }) => row).join('\n')
    expect(all).toContain(user)
    for (const personal of [secretIp, 'A browser']) expect(all).not.toContain(personal)
  })
})
