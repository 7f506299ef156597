import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client'
import type { JSONEventData } from '@eventstore/db-client'
import { startEventStore } from '../src'
import type { EventStore, EventStoreOptions } from '../src'

export interface TestClient {
  /** `esdb://…` */
  url: string
  client: EventStoreDBClient
  close(): Promise<void>
}

export interface TestStore {
  store: EventStore
  client: EventStoreDBClient
  directory: string
  /** Closes the server and starts it again on the same directory and port. */
  restart(): Promise<void>
  close(): Promise<void>
}

/**
 * The official client, connected to the server that `EVENTSTORE_TEST_URL` names (`esdb://…`, a real EventStoreDB or KurrentDB) or, without it, to a server of
 * its own: what such a test says of us has to hold there as well.
 */
export async function openTestClient(): Promise<TestClient> {
  const url = process.env['EVENTSTORE_TEST_URL']
  if (!url) {
    const { store, client, close } = await openTestStore()
    return { url: store.url, client, close }
  }
  const client = EventStoreDBClient.connectionString(url)
  return { url, client, close: () => client.dispose() }
}

/** A server of its own in this process, on a directory of its own, and the official client connected to it. */
export async function openTestStore(options: Partial<EventStoreOptions> = {}): Promise<TestStore> {
  const directory = await mkdtemp(join(tmpdir(), 'annals-eventstore-'))
  const faults: unknown[] = []
  const open = (port: number) =>
    startEventStore({ port, dataDirectory: directory, onFault: (fault) => faults.push(fault), ...options })
  let store = await open(0)
  const client = EventStoreDBClient.connectionString(store.url)
  return {
    get store() {
      return store
    },
    client,
    directory,
    async restart() {
      await store.close()
      store = await open(store.port)
    },
    async close() {
      await client.dispose()
      await store.close()
      await rm(directory, { recursive: true })
      if (faults.length > 0) throw new AggregateError(faults, 'the server met faults of its own')
    },
  }
}

export interface ServerProcess {
  process: ChildProcess
  port: number
  url: string
}

/** The server as it is started in earnest: `main` in a process of its own. Needs no build: it runs the sources. */
export async function startProcess(directory: string, port = 0): Promise<ServerProcess> {
  const child = spawnMain(['--port', String(port), '--data', directory])
  const [line] = (await Promise.race([
    once(createInterface(child.stdout as NodeJS.ReadableStream), 'line'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the server ended with ${code} before it was ready`)
    }),
  ])) as [string]
  const { port: bound, url } = JSON.parse(line) as { port: number; url: string }
  return { process: child, port: bound, url }
}

/** stdout and stderr are pipes. */
export function spawnMain(args: string[]): ChildProcess {
  const main = join(__dirname, 'main.cjs')
  return spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

let serial = 0
const run = randomUUID().slice(0, 8)
/** A name that no other test uses, in this run or another. */
export const streamName = (kind: string): string => `${kind}-${run}-${++serial}`

export const testEvent = (type = 'tested', data: Record<string, unknown> = {}): JSONEventData =>
  jsonEvent({ type, data }) as JSONEventData

/** `count` events whose data number them from `from` on. */
export const testEvents = (count: number, type = 'tested', from = 0): JSONEventData[] =>
  Array.from({ length: count }, (_, index) => testEvent(type, { n: from + index }))

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** @returns the error that `work` fails with. @throws Error when it does not fail */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  let value: unknown
  try {
    value = await work
  } catch (error) {
    return error
  }
  throw new Error(`expected a failure, got ${String(value)}`)
}

/** Waits until `look` gives something defined. @throws Error with `what` after 20 s */
export async function eventually<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`not within 20 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
