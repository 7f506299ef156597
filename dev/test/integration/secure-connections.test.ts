import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { Client } from 'pg'
import { z } from 'zod'
import { kafkaFields, readConfig, redisFields } from '@annals/platform/config'
import { createEventLog } from '@annals/platform/event-log'
import {
  createConsumer,
  createGroupOffsets,
  createPublisher,
  createTopics,
  kafkaConnection,
  type KafkaConnection,
} from '@annals/platform/kafka'
import { createLogger } from '@annals/platform/log'
import { createPool } from '@annals/platform/postgres'
import { createRedis } from '@annals/platform/redis'
import { eventually, requireEnv, startTestEventStore, uniqueName } from '@annals/platform/testing'
import { freePorts, openProfile, removeProfile } from '../../profile.mjs'
import { findRedis, redisServer } from '../../stack/servers/redis.mjs'
import { startStack, stopServers } from '../../stack/native.mjs'
import { makeCertificates } from '../support/certificates.mjs'

jest.setTimeout(120_000)

const log = createLogger('test', 'silent')
let folder: string
let ours: ReturnType<typeof makeCertificates>
/** Those of somebody who sits in between. */
let others: ReturnType<typeof makeCertificates>
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'annals-tls-'))
  ours = makeCertificates(folder, 'ours')
  others = makeCertificates(folder, 'others')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

describe('Redis with TLS', () => {
  let server: ChildProcess
  let port: number
  beforeAll(async () => {
    const profile = await openProfile(`test-${process.pid}-redis`, { ports: 'free' })
    await redisServer.prepare({ profile, kafkaNodes: 1, say: () => undefined } as never)
    removeProfile(profile)
    ;[port] = (await freePorts(1)) as [number]
    const { command, argv0 } = findRedis()!
    const tls = [
      '--tls-cert-file',
      ours.certificateFile,
      '--tls-key-file',
      ours.keyFile,
      '--tls-ca-cert-file',
      ours.caFile,
    ]
    const args = ['--port', '0', '--tls-port', String(port), '--bind', '127.0.0.1', ...tls, '--tls-auth-clients', 'no']
    server = spawn(command, [...args, '--save', '', '--requirepass', 'secret'], { argv0, stdio: 'ignore', cwd: folder })
  })
  afterAll(async () => {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGKILL')
    await ended
  })

  const redisOf = (REDIS_URL: string, caFile?: string) => {
    const config = readConfig(z.object(redisFields), { REDIS_URL, REDIS_TLS_CA: caFile })
    const redis = createRedis(config.REDIS_URL, log, { ca: config.REDIS_TLS_CA })
    opened.push(() => redis.disconnect())
    return redis
  }

  it('answers whoever knows its CA', async () => {
    const redis = redisOf(`rediss://:secret@127.0.0.1:${port}`, ours.caFile)
    await eventually(async () => expect(await redis.ping()).toBe('PONG'))
  })

  it.each([
    ['by the public CAs only', () => undefined],
    ['by another CA', () => others.caFile],
  ])('is not believed %s', async (_, ca) => {
    const redis = redisOf(`rediss://:secret@127.0.0.1:${port}`, ca())
    const error = await new Promise<Error>((resolve) => redis.once('error', resolve))
    expect(error.message).toMatch(/self-signed|unable to (get|verify)|certificate/)
    await expect(redis.ping()).rejects.toThrow()
  })
})

describe('PostgreSQL with TLS', () => {
  const adminUrl = requireEnv('POSTGRES_ADMIN_URL')
  const admin = () => new Client({ connectionString: adminUrl })
  const within = async (work: (client: Client) => Promise<void>) => {
    const client = admin()
    await client.connect()
    await work(client).finally(() => client.end())
  }
  // The stack's own server takes TLS beside plaintext for the time of this test; it may be a container, so its files come by SQL.
  beforeAll(() =>
    within(async (client) => {
      const { rows } = await client.query('show data_directory')
      for (const [file, pem] of [
        ['annals-test.key', ours.key],
        ['annals-test.crt', ours.certificate],
      ] as const) {
        const lines = client.escapeLiteral(pem.trimEnd())
        // A key that others may read is refused.
        const write = client.escapeLiteral(
          `umask 077 && rm -f '${rows[0].data_directory}/${file}' && cat > '${rows[0].data_directory}/${file}'`,
        )
        await client.query(`copy (select unnest(string_to_array(${lines}, E'\\n'))) to program ${write}`)
      }
      await client.query(`alter system set ssl_key_file = 'annals-test.key'`)
      await client.query(`alter system set ssl_cert_file = 'annals-test.crt'`)
      await client.query(`alter system set ssl = on`)
      await client.query('select pg_reload_conf()')
    }),
  )
  afterAll(() =>
    within(async (client) => {
      for (const name of ['ssl', 'ssl_key_file', 'ssl_cert_file']) await client.query(`alter system reset ${name}`)
      await client.query('select pg_reload_conf()')
      const { rows } = await client.query('show data_directory')
      const remove = client.escapeLiteral(`cat && rm -f '${rows[0].data_directory}'/annals-test.*`)
      await client.query(`copy (select 1) to program ${remove}`)
    }),
  )

  const poolOf = (query: string) => {
    const url = new URL(adminUrl)
    url.search = query
    const pool = createPool(url.href, log, 1)
    opened.push(() => pool.end())
    return pool
  }

  it('is checked with sslmode=verify-full and its CA', async () => {
    const pool = poolOf(`?sslmode=verify-full&sslrootcert=${ours.caFile}`)
    await eventually(async () => {
      const { rows } = await pool.query('select ssl, version from pg_stat_ssl where pid = pg_backend_pid()')
      expect(rows).toEqual([{ ssl: true, version: expect.stringMatching(/^TLSv1\.[23]$/) }])
    })
  })

  it('is not believed with another CA, or none', async () => {
    await eventually(async () => {
      const pool = poolOf(`?sslmode=verify-full&sslrootcert=${others.caFile}`)
      await expect(pool.query('select 1')).rejects.toThrow(/certificate|unable to verify/)
    })
    await expect(poolOf('?sslmode=verify-full').query('select 1')).rejects.toThrow(/certificate|unable to verify/)
  })
})

describe('EventStoreDB with TLS', () => {
  it('is written, read and followed by whoever knows its CA, and by nobody else', async () => {
    const files = ['--tls-certificate', ours.certificateFile, '--tls-key', ours.keyFile]
    const store = await startTestEventStore(files)
    opened.push(() => store.remove())
    const secure = store.url.replace('tls=false', 'tls=true')

    const eventLog = createEventLog(`${secure}&tlsCAFile=${ours.caFile}`, log)
    opened.push(() => eventLog.close())
    const event = { id: randomUUID(), type: 'thing.happened', data: { n: 1 }, metadata: {} }
    expect(await eventLog.append('thing-1', [event], -1)).toMatchObject({ revision: 0 })
    expect(await eventLog.readStream('thing-1')).toMatchObject([{ id: event.id }])
    const stop = new AbortController()
    for await (const { id } of eventLog.subscribe({ after: undefined, signal: stop.signal })) {
      expect(id).toBe(event.id)
      stop.abort()
    }

    for (const url of [`${secure}&tlsCAFile=${others.caFile}`, secure, store.url]) {
      const stranger = createEventLog(url, log)
      opened.push(() => stranger.close())
      await expect(stranger.readStream('thing-1')).rejects.toThrow()
    }
  })
})

describe('Kafka with TLS and SASL', () => {
  const profile = `test-${process.pid}-tls`
  let stack: Awaited<ReturnType<typeof startStack>>
  let env: Record<string, string>
  beforeAll(async () => {
    const [door] = (await freePorts(1)) as [number]
    const secure = { certificate: ours.certificate, key: ours.key, username: 'annals', password: 'secret' }
    const kafkaDoors = [{ listen: door, advertise: door, secure }]
    stack = await startStack({ profile, ports: 'free', only: ['kafka'], kafkaDoors })
    env = {
      KAFKA_BROKERS: `127.0.0.1:${door}`,
      KAFKA_TLS: 'true',
      KAFKA_TLS_CA: ours.caFile,
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_SASL_USERNAME: 'annals',
      KAFKA_SASL_PASSWORD: 'secret',
    }
  }, 180_000)
  afterAll(async () => {
    await stopServers(stack.profile)
    removeProfile(stack.profile)
  })

  const connectionWith = (changes: Record<string, string | undefined>): KafkaConnection =>
    kafkaConnection(readConfig(z.object(kafkaFields), { ...env, ...changes }) as Parameters<typeof kafkaConnection>[0])

  it.each(['scram-sha-512', 'plain'])('publishes, reads and keeps its place, with %s', async (KAFKA_SASL_MECHANISM) => {
    const common = { ...connectionWith({ KAFKA_SASL_MECHANISM }), clientId: 'test', log }
    const topic = uniqueName('secure')
    const checkpoint = { groupId: uniqueName('secure.relay'), topic: `${topic}.checkpoint` }
    const topics = createTopics(common)
    opened.push(() => topics.close())
    const specs = [topic, checkpoint.topic].map((name) => ({ topic: name, partitions: 1 }))
    await topics.ensure(specs, 1)
    // Asked on a connection of its own, as places and fences are.
    expect((await topics.ids([topic])).size).toBe(1)

    const publisher = createPublisher({ ...common, transactionalId: uniqueName('secure.tx'), checkpoint })
    opened.push(() => publisher.close())
    expect(await publisher.takeOver()).toBeUndefined()
    const record = { topic, partition: 0, key: 'k', value: 'v', headers: {}, timestamp: '1700000000000' }
    await publisher.publish([record], 7n)
    expect(await publisher.committed()).toMatchObject({ position: 7n })

    const groupId = uniqueName('secure.group')
    const read: string[] = []
    const consumer = createConsumer({ ...common, groupId, topics: [topic], onFatal: () => undefined })
    opened.push(() => consumer.stop())
    await consumer.run({
      positions: async (assigned) => assigned.map(() => undefined),
      handle: async ({ records }) => {
        read.push(...records.map(({ value }) => String(value)))
        return { kind: 'done' }
      },
    })
    await eventually(() => expect(read).toEqual(['v']), { withinMs: 30_000 })
    await createGroupOffsets(common).committed(groupId, [topic])
  })

  it.each([
    ['another CA', () => ({ KAFKA_TLS_CA: others.caFile })],
    ['the public CAs only', () => ({ KAFKA_TLS_CA: undefined })],
    ['a wrong password', () => ({ KAFKA_SASL_PASSWORD: 'guess' })],
    [
      'no credentials',
      () => ({ KAFKA_SASL_MECHANISM: undefined, KAFKA_SASL_USERNAME: undefined, KAFKA_SASL_PASSWORD: undefined }),
    ],
    ['plaintext', () => ({ KAFKA_TLS: undefined, KAFKA_TLS_CA: undefined })],
  ])('comes to nothing with %s', async (_, changes) => {
    const common = { ...connectionWith(changes()), clientId: 'test', log }
    const topics = createTopics(common)
    opened.push(() => topics.close())
    await expect(topics.ready()).rejects.toThrow()
    // On a connection of its own, as the relay's transactions are.
    await expect(topics.ids(['secure'])).rejects.toThrow()
  })
})
