import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { partitionOf } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { createPublisher, createTopics } from '@annals/platform/kafka'
import { createPool } from '@annals/platform/postgres'
import {
  eventually,
  requireEnv,
  uniqueName,
  type DatabaseRecipe,
  type TestEventStore,
  type TestProcess,
  type TestScope,
} from '@annals/platform/testing'
import type { Fact } from './facts'

export const root = path.join(__dirname, '../../..')
export const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' })

/** The deliveries, and the key table that is the command service's. */
export const notifierDatabase: DatabaseRecipe = {
  name: 'notifier',
  migrations: path.join(__dirname, '../../migrations'),
  sql: [path.join(root, 'command-service/migrations/0001-subject-key.sql')],
}

/** Copies a database, as a backup does. @returns puts it back, as a restore does, under whoever is connected. */
export async function backUp(scope: TestScope, url: string): Promise<() => Promise<void>> {
  const name = new URL(url).pathname.slice(1)
  const copy = uniqueName('test_backup').replace('.', '_')
  const admin = scope.add(createPool(requireEnv('POSTGRES_ADMIN_URL'), log, 1), async (pool) => {
    await pool.query(`drop database if exists ${copy}`)
    await pool.end()
  })
  // A database is copied only while nobody is connected.
  await admin.query(`alter database ${name} allow_connections false`)
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  await eventually(() => admin.query(`create database ${copy} template ${name}`))
  await admin.query(`alter database ${name} allow_connections true`)
  return async () => {
    await admin.query(`drop database ${name} with (force)`)
    await admin.query(`create database ${name} template ${copy}`)
  }
}

export interface Topics {
  users: string
  payments: string
  challenges: string
  /** These three. */
  all: string[]
  /** Deletes them, and makes them anew under their names. */
  remake(): Promise<void>
  /** Appends facts to the log, and no more: what the relay, or Kafka, has lost. */
  record(facts: readonly Fact[]): Promise<void>
  /** Appends to the log what it does not have, and publishes all in one Kafka transaction, as the relay does. */
  publish(facts: readonly Fact[]): Promise<void>
}

/** Of each topic. */
export const partitions = 6

/** A log of the test's own, which can be set back. */
export async function ownLog(scope: TestScope): Promise<{ store: TestEventStore; eventLog: EventLog }> {
  const store = await scope.eventStore()
  return { store, eventLog: scope.add(createEventLog(store.url, log), (it) => it.close()) }
}

/** @param eventLog the log that facts are appended to before they are published. */
export async function ownTopics(scope: TestScope, eventLog: EventLog): Promise<Topics> {
  const brokers = requireEnv('KAFKA_BROKERS').split(',')
  const options = { brokers, clientId: 'test', log }
  const [users, payments, challenges, checkpoint] = ['users', 'payments', 'challenges', 'checkpoint'].map((name) =>
    uniqueName(`test.notify.${name}`),
  )
  const all = [users!, payments!, challenges!]
  const topicOf = (stream: string) =>
    stream.startsWith('user-') ? users! : stream.startsWith('challenge-') ? challenges! : payments!
  const topics = createTopics(options)
  await scope.topics([...all.map((topic) => ({ topic, partitions })), { topic: checkpoint!, partitions: 1 }])
  const publisher = createPublisher({
    ...options,
    transactionalId: checkpoint!,
    checkpoint: { groupId: checkpoint!, topic: checkpoint! },
  })
  scope.add(publisher, () => publisher.close())
  await publisher.takeOver()
  let batches = 0n
  const positions = new Map<string, bigint>()

  /** Appends what the log does not have yet, in order. */
  async function record(facts: readonly Fact[]): Promise<void> {
    for (const { id, stream, revision, event } of facts)
      if (!positions.has(id)) positions.set(id, (await eventLog.append(stream, [event], revision - 1)).position)
  }

  return {
    users: users!,
    payments: payments!,
    challenges: challenges!,
    all,
    record,
    async remake() {
      await topics.remove(all)
      const specs = all.map((topic) => ({ topic, partitions }))
      await eventually(() => topics.ensure(specs, 1), { withinMs: 30_000 })
      await publisher.takeOver()
    },
    publish: async (facts) => {
      await record(facts)
      batches += 1n
      const records = facts.map(({ id, record, stream }) => ({
        ...record,
        headers: { ...record.headers, ce_position: String(positions.get(id)) },
        topic: topicOf(stream),
        partition: partitionOf(stream, partitions),
      }))
      // As the relay does: brokers that made a topic anew refuse for a moment, and what was committed is not published twice.
      await eventually(
        async () => {
          try {
            await publisher.publish(records, batches)
          } catch (error) {
            if ((await publisher.takeOver())?.position !== batches) throw error
          }
        },
        { withinMs: 30_000 },
      )
    },
  }
}

/** Below the range from which outgoing connections take theirs: it stays free until its server listens. */
async function freePort(): Promise<number> {
  for (let tried = 0; tried < 50; tried++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
  throw new Error('no free port found')
}

export interface Mail {
  id: string
  messageId: string
  to: string[]
  subject: string
}

type MailFault = 'reject' | 'reject-recipient' | 'defer' | 'hang' | 'drop' | 'keep-silent'

/** The mail sandbox as a process of the test's own, so that its faults meet nobody else. */
export class MailServer {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'annals-mail-'))
  #process: TestProcess | undefined

  private constructor(
    readonly scope: TestScope,
    readonly smtpPort: number,
    readonly httpPort: number,
  ) {}

  static async start(scope: TestScope): Promise<MailServer> {
    const server = new MailServer(scope, await freePort(), await freePort())
    scope.onEnd(() => rmSync(server.#directory, { recursive: true }), 'folder of mails')
    await server.start()
    return server
  }

  get smtpUrl(): string {
    return `smtp://127.0.0.1:${this.smtpPort}`
  }

  async start(): Promise<void> {
    const { smtpPort, httpPort } = this
    const args = ['--smtp-port', String(smtpPort), '--http-port', String(httpPort), '--data', this.#directory]
    this.#process = this.scope.process([path.join(root, 'dev/sandboxes/mail/main.mjs'), ...args])
    await eventually(() => this.#fetch('/healthz'), { withinMs: 25_000 })
  }

  async stop(): Promise<void> {
    await this.#process?.end('SIGKILL')
    this.#process = undefined
  }

  async #fetch(url: string, init?: RequestInit): Promise<Response> {
    const response = await fetch(`http://127.0.0.1:${this.httpPort}${url}`, {
      ...init,
      signal: AbortSignal.timeout(5_000),
    })
    if (!response.ok) throw new Error(`${url} answered ${response.status}`)
    return response
  }

  /** The next `count` messages, or those to one address, meet the fault. */
  async fail(fault: MailFault, count = 1, to?: string): Promise<void> {
    const body = JSON.stringify({ fault, count, ...(to ? { to } : {}) })
    await this.#fetch('/api/behaviour', { method: 'PUT', body, headers: { 'content-type': 'application/json' } })
  }

  /** How many messages are still to meet the fault. */
  async faultsLeft(): Promise<number> {
    const behaviour = (await (await this.#fetch('/api/behaviour')).json()) as { count: number }
    return behaviour.count
  }

  async heal(): Promise<void> {
    await this.#fetch('/api/behaviour', { method: 'DELETE' })
  }

  async mails(to?: string): Promise<Mail[]> {
    const query = new URLSearchParams({ limit: '20000', ...(to ? { to } : {}) })
    const response = await this.#fetch(`/api/messages?${query.toString()}`)
    return ((await response.json()) as { messages: Mail[] }).messages
  }

  async read(id: string): Promise<{ headers: Record<string, string>; text: string; html: string }> {
    return (await this.#fetch(`/api/messages/${id}`)).json() as Promise<{
      headers: Record<string, string>
      text: string
      html: string
    }>
  }
}

/** What a notifier needs, all of it the test's own, and a name for its group. */
export async function ownServers(scope: TestScope) {
  const [{ pool, url }, { store, eventLog }, mail] = await Promise.all([
    scope.database(notifierDatabase),
    ownLog(scope),
    MailServer.start(scope),
  ])
  const topics = await ownTopics(scope, eventLog)
  return { pool, url, topics, mail, store, eventLog, group: uniqueName('test.notifier') }
}
