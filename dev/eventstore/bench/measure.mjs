// Measures the development event store through the official client, each in its own process:
//   node dev/eventstore/bench/measure.mjs [--events 300000] [--appends 30000] [--concurrency 64]
// Needs the build (`npx turbo run build`). Prints one line per figure. What each figure means is told in ../README.md.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

const require = createRequire(import.meta.url)
const { EventStoreDBClient, excludeSystemEvents, jsonEvent, START } = require('@eventstore/db-client')

const number = (name, fallback) => ({ [name]: { type: 'string', default: String(fallback) } })
const { values } = parseArgs({
  options: { ...number('events', 300_000), ...number('appends', 30_000), ...number('concurrency', 64) },
})
const [events, appends, concurrency] = [values.events, values.appends, values.concurrency].map(Number)

const event = () =>
  jsonEvent({
    type: 'payment.created',
    data: {
      paymentId: '3f1f4a3e-3c1c-4d5e-9a5e-1f2d3c4b5a69',
      userId: 'a9b8c7d6-0000-4000-8000-000000000001',
      amount: '12.30',
      currency: 'EUR',
    },
    metadata: {
      tenant: 'main',
      schemaVersion: 1,
      commandId: '8d7c6b5a-0000-4000-8000-000000000002',
      occurredAt: new Date().toISOString(),
    },
  })

async function rate(name, count, work) {
  const started = performance.now()
  await work()
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${name}: ${Math.round(count / seconds).toLocaleString('en')}/s (${count.toLocaleString('en')} in ${seconds.toFixed(1)} s)`,
  )
}

async function inParallel(total, width, work) {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < total) await work(next++)
    }),
  )
}

const directory = await mkdtemp(join(tmpdir(), 'eventstore-measure-'))
const server = spawn(
  process.execPath,
  [new URL('../dist/main.js', import.meta.url).pathname, '--port', '0', '--data', directory],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const [line] = await once(createInterface(server.stdout), 'line')
const client = EventStoreDBClient.connectionString(JSON.parse(line).url)
try {
  await client.appendToStream('warm-up', event())
  await rate(`appends of one event, ${concurrency} at a time`, appends, () =>
    inParallel(appends, concurrency, (n) => client.appendToStream(`payment-${n % 5_000}`, event())),
  )
  await rate('appends of one event, one after the other', 1_000, () =>
    inParallel(1_000, 1, (n) => client.appendToStream(`single-${n}`, event(), { expectedRevision: 'no_stream' })),
  )
  const batch = 500
  await rate(`events appended in batches of ${batch}, 4 at a time`, events, () =>
    inParallel(Math.ceil(events / batch), 4, (n) =>
      client.appendToStream(`load-${n}`, Array.from({ length: batch }, event)),
    ),
  )
  let read = 0
  const started = performance.now()
  for await (const _ of client.readAll()) read++
  const seconds = (performance.now() - started) / 1000
  console.log(
    `readAll: ${Math.round(read / seconds).toLocaleString('en')}/s (${read.toLocaleString('en')} in ${seconds.toFixed(1)} s)`,
  )
  const wanted = read - 1
  await rate('catch-up subscription to $all without system events', wanted, async () => {
    const subscription = client.subscribeToAll({
      fromPosition: START,
      filter: excludeSystemEvents({ maxSearchWindow: 1_000, checkpointInterval: 10 }),
    })
    let got = 0
    for await (const _ of subscription) if (++got === wanted) break
  })
} finally {
  await client.dispose()
  server.kill('SIGTERM')
  await once(server, 'exit')
  await rm(directory, { recursive: true })
}
