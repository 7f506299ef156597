import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { EventStoreDBClient, UnavailableError } from '@eventstore/db-client'
import { collect, ended, eventually, failureOf, spawnMain, startProcess, testEvent, testEvents } from '../event-store'
import type { ServerProcess } from '../event-store'

let directory: string
const running = new Set<ServerProcess>()
const clients = new Set<EventStoreDBClient>()

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'annals-eventstore-'))
})
afterEach(async () => {
  for (const client of clients) await client.dispose()
  for (const { process } of running) {
    process.kill('SIGKILL')
    await ended(process)
  }
  clients.clear()
  running.clear()
  await rm(directory, { recursive: true })
})

interface Capabilities {
  serverVersion: string
  supports(method: { path: string }): boolean
}

async function start(port = 0): Promise<ServerProcess> {
  const server = await startProcess(directory, port)
  running.add(server)
  return server
}

function connect(url: string): EventStoreDBClient {
  const client = EventStoreDBClient.connectionString(url)
  clients.add(client)
  return client
}

async function outputOf(child: ReturnType<typeof spawnMain>) {
  let text = ''
  child.stdout?.on('data', (chunk) => (text += chunk))
  child.stderr?.on('data', (chunk) => (text += chunk))
  await ended(child)
  return { code: child.exitCode, text }
}

describe('a server that is killed', () => {
  it('has every event that it acknowledged, and no gap, when it starts again', async () => {
    let { port, process: child, url } = await start()
    const acknowledged = new Map<string, number>()
    const kills = 5
    for (let kill = 0; kill < kills; kill++) {
      // A client does not outlive its server here, so that each round begins with nothing under way.
      const client = connect(url)
      let failed = 0
      const write = async (writer: number) => {
        const stream = `writer-${kill}-${writer}`
        for (let n = 0; ; n++) {
          try {
            const { nextExpectedRevision } = await client.appendToStream(stream, testEvents(1 + (n % 3)), {
              expectedRevision: 'any',
            })
            acknowledged.set(stream, Number(nextExpectedRevision))
          } catch {
            failed++
            return
          }
        }
      }
      const writers = Array.from({ length: 16 }, (_, writer) => write(writer))
      await eventually('some acknowledged', () =>
        [...acknowledged].filter(([stream, revision]) => stream.startsWith(`writer-${kill}-`) && revision > 10)
          .length >= 16
          ? true
          : undefined,
      )
      child.kill('SIGKILL')
      await ended(child)
      await Promise.all(writers)
      expect(failed).toBe(16)
      ;({ port, process: child, url } = await start(port))
    }
    const client = connect(url)
    const positions: bigint[] = []
    const found = new Map<string, number[]>()
    for (const { event } of await collect(client.readAll()))
      if (event && !event.streamId.startsWith('$')) {
        positions.push(event.position.commit)
        const revisions = found.get(event.streamId) ?? []
        found.set(event.streamId, [...revisions, Number(event.revision)])
      }
    expect(acknowledged.size).toBe(16 * kills)
    for (const [stream, lastRevision] of acknowledged) {
      const revisions = found.get(stream) ?? []
      expect(revisions.length).toBeGreaterThan(lastRevision)
      expect(revisions).toEqual(revisions.map((_, index) => index))
    }
    expect(new Set(positions).size).toBe(positions.length)
  }, 60_000)

  it('recognises the repeat of an append whose outcome was unknown', async () => {
    const first = await start()
    const events = testEvents(3)
    await connect(first.url).appendToStream('repeated', events, { expectedRevision: 'no_stream' })
    first.process.kill('SIGKILL')
    await ended(first.process)
    const second = await start(first.port)
    const client = connect(second.url)
    const repeat = await client.appendToStream('repeated', events, { expectedRevision: 'no_stream' })
    expect(repeat.nextExpectedRevision).toBe(2n)
    expect(await collect(client.readStream('repeated'))).toHaveLength(3)
  })

  it('is unavailable to calls under way, and a client finds it again', async () => {
    const first = await start()
    const client = connect(first.url)
    await client.appendToStream('found-again', testEvent())
    const writing = (async () => {
      for (;;) await client.appendToStream('found-again', testEvents(500))
    })()
    first.process.kill('SIGKILL')
    expect(await failureOf(writing)).toBeInstanceOf(UnavailableError)
    await ended(first.process)
    await start(first.port)
    await eventually('an append goes through', () =>
      client.appendToStream('found-again', testEvent()).catch(() => undefined),
    )
  })
})

describe('the process', () => {
  it('says on one line where it listens and what it is for', async () => {
    const child = spawnMain(['--port', '0', '--data', directory])
    const output = outputOf(child)
    const line = await new Promise<string>((resolve) => child.stdout?.once('data', (chunk) => resolve(String(chunk))))
    child.kill('SIGTERM')
    expect(JSON.parse(line)).toMatchObject({
      level: 'info',
      port: expect.any(Number),
      url: expect.stringMatching(/^esdb:\/\/127\.0\.0\.1:\d+\?tls=false$/),
      msg: expect.stringContaining('for development and tests only'),
    })
    expect(await output).toMatchObject({ code: 0, text: expect.stringContaining('"msg":"closed"') })
  })

  it('ends in order on SIGTERM while clients read, write and follow', async () => {
    const { process: child, url } = await start()
    const client = connect(url)
    await client.appendToStream('busy', testEvents(2_000))
    const following = client.subscribeToAll().on('error', () => undefined)
    following.on('data', () => undefined)
    const writing = (async () => {
      for (;;) await client.appendToStream('busy', testEvents(5))
    })().catch((error: unknown) => error)
    const slow = client.readAll()
    slow.on('error', () => undefined)
    await new Promise((resolve) => slow.once('data', resolve))
    slow.pause()
    child.kill('SIGTERM')
    await ended(child)
    expect(child.exitCode).toBe(0)
    expect(await writing).toBeInstanceOf(Error)
    const again = await start()
    expect((await collect(connect(again.url).readStream('busy'))).length).toBeGreaterThanOrEqual(2_000)
  })

  it('refuses a data directory that another server uses', async () => {
    await start()
    const { code, text } = await outputOf(spawnMain(['--port', '0', '--data', directory]))
    expect(code).toBe(1)
    expect(text).toContain('is in use by another server')
  })

  it('refuses a port that is taken', async () => {
    const { port } = await start()
    const { code, text } = await outputOf(spawnMain(['--port', String(port), '--data', join(directory, 'other')]))
    expect(code).toBe(1)
    expect(text).toContain('EADDRINUSE')
  })

  it('refuses arguments that it does not know', async () =>
    expect(await outputOf(spawnMain(['--prot', '1']))).toMatchObject({
      code: 2,
      text: expect.stringContaining('usage:'),
    }))
})

describe('the rest of the protocol', () => {
  it('leads a client that asks for the leader of a cluster', async () => {
    const { port } = await start()
    const client = connect(`esdb://localhost:${port},127.0.0.1:${port}?tls=false&nodePreference=leader`)
    expect(await client.appendToStream('gossip', testEvent())).toMatchObject({ success: true })
  })

  it('says which methods it has, in lower case', async () => {
    const { url } = await start()
    // Protected in the client's types; its own appends ask it the same way.
    const { capabilities } = connect(url) as unknown as { capabilities: Promise<Capabilities> }
    const features = await capabilities
    expect(features.serverVersion).toMatch(/^24\.10\./)
    expect(features.supports({ path: '/event_store.client.streams.Streams/BatchAppend' })).toBe(true)
    expect(features.supports({ path: '/event_store.client.projections.Projections/Create' })).toBe(false)
  })

  it('answers UNIMPLEMENTED for persistent subscriptions and projections', async () => {
    const { url } = await start()
    const client = connect(url)
    expect(await failureOf(client.createProjection('p', 'fromAll()'))).toMatchObject({ code: 12 })
    expect(await failureOf(client.deletePersistentSubscriptionToStream('s', 'g'))).toMatchObject({ code: 12 })
  })
})
