import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { expect, it, jest } from '@jest/globals'
import { placeOf } from '@annals/contracts'
import { createMetrics } from '@annals/platform/metrics'
import { createPool, postgresDeadlines } from '@annals/platform/postgres'
import { eventually, proxyOf, requireEnv } from '@annals/platform/testing'
import { tablesOf } from '../../src/engine/tables/generation'
import { payments } from '../../src/projections'
import { createProjector } from '../../src/projector/projector'
import { silent } from '../support/database'
import { aPayment, opensNothing, paymentFacts } from '../support/facts'
import { openOwnTopics } from '../support/own-topics'
import { useOwnWorld } from '../support/own-world'
import { createReadModels, nobody } from '../support/read-models'

jest.setTimeout(120_000)

const world = useOwnWorld()
const cli = path.join(__dirname, '../../dist/replay/main.js')
const factsOf = (count: number, from: bigint) =>
  Array.from({ length: count }, (_, i) => paymentFacts(aPayment(), from + BigInt(3 * i))).flat()

async function seen(): Promise<number> {
  const { rows } = await world.database.pool.query<{ seen: string }>(
    `select coalesce(sum(revision + 1), 0)::text as seen from ${tablesOf(payments, 'live').stream}`,
  )
  return Number(rows[0]!.seen)
}

it('a projector whose PostgreSQL connections fall silent goes on by itself, and applies each fact once', async () => {
  const topics = await openOwnTopics(world.scope)
  const proxy = await proxyOf(world.database.url, 5432)
  // A tenth of the usual deadlines, and nothing else: this test is no longer for it.
  const pool = createPool(proxy.url, silent, 6, { statement_timeout: 1_400 })
  const projector = createProjector({
    projections: [payments],
    brokers: topics.brokers,
    pool,
    openAll: opensNothing,
    log: silent,
    metrics: createMetrics('test'),
    observer: nobody,
    onFatal: () => undefined,
    groupId: `${topics.prefix}lane`,
    topicPrefix: topics.prefix,
  })
  try {
    await projector.start()
    await topics.publish(factsOf(20, 1n))
    await eventually(async () => expect(await seen()).toBe(60), { withinMs: 60_000 })
    // As after a failover: twice, and once in an answer, when nobody knows whether it was committed.
    for (const [round, what] of (['both', 'answers', 'both'] as const).entries()) {
      proxy.silence('established', what)
      await topics.publish(factsOf(20, 1_000n * BigInt(round + 1)))
      await eventually(async () => expect(await seen()).toBe(60 * (round + 2)), { withinMs: 30_000 })
    }
    expect(projector.assigned().filter(({ waiting }) => waiting !== undefined)).toEqual([])
    const { rows } = await world.database.pool.query<{ n: bigint }>(
      `select count(*) as n from ${tablesOf(payments, 'live').rows} where status = 'completed'`,
    )
    expect(rows[0]!.n).toBe(80n)
  } finally {
    await projector.stop()
    await pool.end()
    await proxy.close()
  }
})

it('a command of the replay CLI that is stopped (Ctrl-Z) in a transaction holds projectors up for ten seconds only', async () => {
  const { payments: paid, events } = await world.own.pay(1)
  const { stream } = paid[0]!
  const models = await createReadModels(world.database.pool, [payments])
  await models.feed(events.slice(0, 2))
  // The command locks the partition, and then waits for a log that does not answer.
  const log = await proxyOf(requireEnv('EVENTSTORE_URL').replace('esdb:', 'http:'), 2113)
  log.silence()
  const env = {
    ...process.env,
    PROJECTION_DATABASE_URL: world.database.url,
    EVENTSTORE_URL: log.url.replace('http:', 'esdb:'),
    NODE_ENV: undefined,
  }
  const child = spawn(process.execPath, [cli, 'refold', 'payments', stream], { env, stdio: 'ignore' })
  try {
    const { topic, partition } = placeOf(stream)!
    const tryLock = () =>
      world.database.pool.query(
        `select from ${tablesOf(payments, 'live').checkpoint} where topic = $1 and partition = $2 for update nowait`,
        [topic, partition],
      )
    await eventually(() => expect(tryLock()).rejects.toMatchObject({ code: '55P03' }), { withinMs: 20_000 })
    child.kill('SIGSTOP')

    const began = performance.now()
    await models.feed(events.slice(2))
    expect(performance.now() - began).toBeLessThan(postgresDeadlines.idleInTransactionMs + 2_000)
    expect(await seen()).toBe(3)

    // It wakes, finds its transaction ended, and says so: nothing of it is there.
    const ended = once(child, 'exit')
    child.kill('SIGCONT')
    expect(await ended).toEqual([expect.any(Number), null])
    expect(child.exitCode).not.toBe(0)
    expect(await seen()).toBe(3)
  } finally {
    child.kill('SIGKILL')
    await log.close()
  }
})
