import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { streamOf } from '@annals/contracts'
import { createEventLog, type EventLog, type NewLogEvent } from '@annals/platform/event-log'
import { testScope, type TestDatabase } from '@annals/platform/testing'
import { refresh as refreshOf, refreshEveryMs, sessionDecider } from '../../../src/sessions/domain/session'
import { userDecider } from '../../../src/accounts/domain/user'
import { createExecute } from '../../../src/core/execute'
import { UnreadableStream } from '../../../src/core/faults'
import { createRefreshTokens, type RefreshTokens } from '../../../src/sessions/refresh-tokens'
import { commandDatabase, silent } from '../../support/database'
import { nobodysKeys } from '../../support/keys'
import {
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
let refreshTokens: RefreshTokens
let anna: Person

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({ COMMAND_DATABASE_URL: database.url, PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1' })
  service = await startTestService(scope, environment)
  log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  refreshTokens = createRefreshTokens(Buffer.from(environment['REFRESH_TOKEN_KEY']!, 'base64'), 'main')
  anna = await somebody(service)
})

/** Events of one append: far below what EventStoreDB takes at once. */
const appendedAtOnce = 2_000

function eventOf(type: string, data: Record<string, unknown>, occurredAt: string): NewLogEvent {
  const commandId = randomUUID()
  const actor = { type: 'system', id: 'test' }
  const ids = { commandId, correlationId: commandId, causationId: commandId }
  return {
    id: randomUUID(),
    type,
    data,
    metadata: { schemaVersion: 1, tenant: 'main', ...ids, actor, occurredAt, source: 'test' },
  }
}

/** A session of Anna's that is as old as so many refreshes take, and has had them. */
async function sessionRefreshed(refreshes: number): Promise<string> {
  const sessionId = randomUUID()
  const stream = streamOf.session(sessionId)
  const { userId } = anna
  const began = Date.now() - refreshes * refreshEveryMs
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString()
  const login = { sessionId, userId, method: 'password', ip: null, userAgent: null, expiresAt }
  const events = [
    eventOf('user.login', login, new Date(began).toISOString()),
    ...Array.from({ length: refreshes }, (_, i) =>
      eventOf(
        'session.refreshed',
        { sessionId, userId, generation: i + 2 },
        new Date(began + (i + 1) * refreshEveryMs).toISOString(),
      ),
    ),
  ]
  for (let from = 0; from < events.length; from += appendedAtOnce)
    await log.append(stream, events.slice(from, from + appendedAtOnce), from - 1)
  return sessionId
}

const refresh = (sessionId: string, generation: number) =>
  service.post('/api/v1/auth/refresh', {
    body: { refreshToken: refreshTokens.issue(sessionId, generation) },
  })
const lastOf = async (sessionId: string) => (await log.lastOf(streamOf.session(sessionId)))!

/** Counts what a command reads of the log. */
function countedExecute() {
  let read = 0
  const counting: EventLog = {
    ...log,
    async readStream(...asked) {
      const events = await log.readStream(...asked)
      read += events.length
      return events
    },
    async lastOf(stream) {
      const last = await log.lastOf(stream)
      if (last) read++
      return last
    },
  }
  const observe = { append: () => undefined, conflict: () => undefined }
  return { execute: createExecute({ log: counting, keys: nobodysKeys, tenant: 'main', observe }), read: () => read }
}

describe('a session that was refreshed very often', () => {
  it.each([0, 1, 2_000, 40_000])(
    'is known from two events at most (%i refreshes)',
    async (refreshes) => {
      const sessionId = await sessionRefreshed(refreshes)
      const { execute, read } = countedExecute()
      const { state, revision } = await execute.load(sessionDecider, streamOf.session(sessionId))
      expect(read()).toBe(Math.min(2, refreshes + 1))
      expect(revision).toBe(refreshes)
      expect(state).toMatchObject({ status: 'active', userId: anna.userId, generation: refreshes + 1 })

      const { status, body } = await refresh(sessionId, refreshes + 1)
      expect([status, body.refreshToken]).toEqual([200, refreshTokens.issue(sessionId, refreshes + 2)])
      expect(await lastOf(sessionId)).toMatchObject({ revision: refreshes + 1, data: { generation: refreshes + 2 } })
    },
    120_000,
  )

  it('costs no more when twenty refresh it at once: each looks at two events again when it came second', async () => {
    const sessionId = await sessionRefreshed(10_000)
    const replies = await Promise.all(Array.from({ length: 20 }, () => refresh(sessionId, 10_001)))
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(new Set(replies.map(({ body }) => body.refreshToken)).size).toBe(1)
    expect((await lastOf(sessionId)).revision).toBe(10_001)

    const { execute, read } = countedExecute()
    const at = new Date().toISOString()
    const context = () => ({
      commandId: randomUUID(),
      correlationId: 'test',
      causationId: 'test',
      actor: { type: 'system' as const, id: 'test' },
      occurredAt: at,
    })
    const decide = refreshOf({ generation: 10_002, at })
    const stream = streamOf.session(sessionId)
    await Promise.all(Array.from({ length: 20 }, () => execute(sessionDecider, { stream, context: context(), decide })))
    // Two attempts each at most: who comes second finds the token handed out already.
    expect(read()).toBeLessThanOrEqual(20 * 2 * 2)
    expect((await lastOf(sessionId)).revision).toBe(10_002)
  }, 120_000)
})

describe('a session that is refreshed as fast as a client can', () => {
  it('records some refreshes and answers all, then with the token in force', async () => {
    let { refreshToken } = anna
    for (let i = 0; i < 60; i++) {
      const { status, body } = await service.post('/api/v1/auth/refresh', { body: { refreshToken } })
      expect(status).toBe(200)
      refreshToken = body.refreshToken
    }
    const { revision } = await lastOf(anna.sessionId)
    expect(revision).toBeGreaterThanOrEqual(30)
    expect(revision).toBeLessThan(40)
  })
})

describe('a stream that is read whole', () => {
  it('is refused when somebody else made it longer than our rules let it grow', async () => {
    const userId = randomUUID()
    const stream = streamOf.user(userId)
    const granted = () => eventOf('user.role_granted', { userId, role: 'admin' }, new Date().toISOString())
    await log.append(stream, Array.from({ length: 1_500 }, granted), -1)
    const { execute, read } = countedExecute()
    await expect(execute.load(userDecider, stream)).rejects.toThrow(UnreadableStream)
    expect(read()).toBe(1_001)
  })
})
