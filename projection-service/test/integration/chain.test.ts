import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { placeOf } from '@annals/contracts'
import { verifyChain } from '../../src/chain/verify'
import { createDriftChecker } from '../../src/drift/checker'
import { createCatchUp } from '../../src/engine/live/catch-up'
import { audit, payments } from '../../src/projections'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { rollBack } from '../../src/replay/rebuild/swap'
import { silent } from '../support/database'
import { opensNothing } from '../support/facts'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { createReadModels, nobody } from '../support/read-models'

const world = useOwnWorld()

/** A projector's half that follows the log. */
const following = (over: Partial<Parameters<typeof createCatchUp>[1]> = {}) =>
  createCatchUp([audit], {
    pool: world.database.pool,
    openAll: opensNothing,
    log: silent,
    eventLog: world.own.log,
    observer: nobody,
    ...over,
  })

const live = (projections: Parameters<typeof createReadModels>[1] = [payments, audit]) =>
  createReadModels(world.database.pool, projections)

const entries = async (schema = 'audit') =>
  (
    await world.database.pool.query(
      `select event_id, topic, partition, sequence, position, content_hash, previous_hash, hash, type
       from ${schema}.entry order by position`,
    )
  ).rows

const verified = (options = {}) =>
  verifyChain(audit, { pool: world.database.pool, log: world.own.log, openAll: opensNothing }, options)

const whole = { wrong: 0, isWhole: true, findings: [] }

describe('a chain', () => {
  it('has an entry for each event, in the order of the log, each with the hash of the one before', async () => {
    const { feed } = await live()
    const { events } = await world.own.pay(20)
    await feed(events)
    await following().round()
    const found = await entries()
    expect(found.map(({ event_id }) => event_id)).toEqual(events.map(({ id }) => id))
    const heads = new Map<string, { sequence: bigint; hash: string }>()
    for (const { partition, sequence, previous_hash, hash } of found) {
      const before = heads.get(partition)
      expect(sequence).toBe((before?.sequence ?? 0n) + 1n)
      expect(previous_hash).toBe(before?.hash ?? '0'.repeat(64))
      heads.set(partition, { sequence, hash })
    }
    expect(await verified()).toMatchObject({ ...whole, entries: 60 })
  })

  it('is the same in whatever order Kafka brings the events', async () => {
    const { feed } = await live()
    const { events } = await world.own.pay(30)
    const [first, second] = [events.slice(0, 45), events.slice(45)]
    const lateStreams = new Set(first.filter((_, i) => i % 5 === 0).map(({ stream }) => stream))
    // A topic that was filled anew: streams that were missing come behind all others.
    await feed([
      ...events.filter(({ stream }) => !lateStreams.has(stream)),
      ...first.filter(({ stream }) => lateStreams.has(stream)),
    ])
    await following().round()
    await feed(second.filter(({ stream }) => lateStreams.has(stream)))
    await following().round()
    expect((await entries()).map(({ event_id }) => event_id)).toEqual(events.map(({ id }) => id))
    expect(await verified()).toMatchObject({ ...whole, entries: 90 })
  })

  it('is rebuilt equal to the live one, also when that goes on, and stays equal after swap and rollback', async () => {
    const { feed } = await live()
    await feed((await world.own.pay(20)).events)
    await following().round()
    await feed((await world.own.pay(5)).events)
    const [rebuilt] = await rebuildAll([audit], rebuildDependencies(world))
    expect(rebuilt).toMatchObject({ swapped: true, verification: { equal: true, compared: true } })
    expect(await verified()).toMatchObject({ wrong: 0 })
    const more = await world.own.pay(5)
    await feed(more.events)
    await following().round()
    expect(await verified()).toMatchObject({ ...whole, entries: 90 })
    const now = await entries()
    await rollBack(world.database.pool, audit)
    expect((await entries()).length).toBeLessThan(now.length)
    await following().round()
    expect(await entries()).toEqual(now)
    expect(await verified()).toMatchObject({ ...whole, entries: 90 })
  })

  it('goes on whole where a rebuild was cut off', async () => {
    const { feed } = await live()
    await feed((await world.own.pay(50)).events)
    await following().round()
    const cut = new AbortController()
    const interrupted = rebuildAll(
      [audit],
      rebuildDependencies(world, {
        signal: cut.signal,
        throttle: 40,
        observer: { stage: () => undefined, progress: ({ events }) => events >= 20 && cut.abort() },
      }),
    )
    await expect(interrupted).rejects.toThrow()
    const [rebuilt] = await rebuildAll([audit], rebuildDependencies(world))
    expect(rebuilt).toMatchObject({ swapped: true, verification: { equal: true, compared: true } })
    expect(await verified()).toMatchObject({ ...whole, entries: 150 })
  })

  it('is written once by many that follow at the same time', async () => {
    const { feed } = await live()
    await feed((await world.own.pay(100)).events)
    const instances = Array.from({ length: 4 }, () => following())
    for (let i = 0; i < 3; i++) await Promise.all(instances.map((one) => one.round()))
    expect(await verified()).toMatchObject({ ...whole, entries: 300 })
  })

  it('loses nothing when an instance ends between its statements', async () => {
    const { feed } = await live()
    await feed((await world.own.pay(20)).events)
    const { pool } = world.database
    // The connection is gone at the worst moment: the entries are written, the place is not.
    const dying = {
      query: pool.query.bind(pool),
      async connect() {
        const client = await pool.connect()
        const query = client.query.bind(client)
        return Object.assign(Object.create(client), {
          query: (...asked: unknown[]) => {
            const text = typeof asked[0] === 'string' ? asked[0] : (asked[0] as { text?: string }).text
            if (text?.includes('set position = greatest')) throw new Error('killed')
            return (query as (...all: unknown[]) => unknown)(...asked)
          },
          release: (error?: Error) => client.release(error),
        })
      },
    } as unknown as typeof pool
    await following({ pool: dying }).round()
    expect(await entries()).toEqual([])
    await following().round()
    expect(await verified()).toMatchObject({ ...whole, entries: 60 })
  })

  it('waits while the log is silent, and takes nothing from a log that is not the one that was read', async () => {
    const { feed } = await live()
    await feed((await world.own.pay(3)).events)
    const stopped: (string | undefined)[] = []
    const observer = { ...nobody, stopped: (_: string, reason: string | undefined) => stopped.push(reason) }
    const dead = () => Promise.reject(new Error('no answer'))
    await following({ observer, eventLog: { ...world.own.log, eventAt: dead } }).round()
    await following({ observer, eventLog: { ...world.own.log, eventAt: async () => undefined } }).round()
    expect(stopped).toEqual(['failed', 'other-log'])
    expect(await entries()).toEqual([])
  })

  it('has an entry for what this release can not read', async () => {
    const { feed } = await live([audit])
    const { events } = await world.own.pay(1)
    const { stream } = events[0]!
    await feed(events)
    const strange = { type: 'payment.processed', data: { nothing: 'of it' } } as never
    await world.own.appendAsItIs(stream, 3, strange)
    const all = await world.own.events()
    await feed(all.slice(3))
    await following().round()
    const found = await entries()
    expect(found).toHaveLength(4)
    const { rows } = await world.database.pool.query(`select result, at from audit.entry where revision = 3`)
    expect(rows).toEqual([{ result: null, at: null }])
    expect(await verified()).toMatchObject({ ...whole, entries: 4 })
  })
})

describe('a chain that somebody has changed', () => {
  const change = (sql: string, ...parameters: unknown[]) => world.database.pool.query(sql, parameters)
  const entryOf = async (sequence: number, partition: number) =>
    (await entries()).find((one) => one.sequence === BigInt(sequence) && one.partition === partition)

  /** Some hundred entries, and the partition that has most. */
  async function aChain() {
    const { feed } = await live()
    const { events } = await world.own.pay(40)
    await feed(events)
    await following().round()
    const { partition } = placeOf(events[0]!.stream)!
    const length = (await entries()).filter((one) => one.partition === partition).length
    return { partition, length }
  }
  const at = (partition: number, sequence: number) => ({ topic: 'annals.payments', partition, sequence: `${sequence}` })

  it.each(['actor_id', 'result', 'type', 'stream', 'content_hash', 'hash', 'previous_hash', 'reason'])(
    'is found at the entry whose %s was changed',
    async (column) => {
      const { partition } = await aChain()
      const entry = await entryOf(2, partition)
      await change(`update audit.entry set ${column} = 'other' where event_id = $1`, entry.event_id)
      const { wrong, findings } = await verified()
      expect({ wrong, findings }).toMatchObject({
        wrong: 1,
        findings: [{ kind: 'changed', ...at(partition, 2), eventId: entry.event_id, columns: [column] }],
      })
    },
  )

  it('is found where an entry was taken out', async () => {
    const { partition } = await aChain()
    const entry = await entryOf(2, partition)
    await change('delete from audit.entry where event_id = $1', entry.event_id)
    expect(await verified()).toMatchObject({
      wrong: 1,
      findings: [{ kind: 'missing', ...at(partition, 2), eventId: entry.event_id }],
    })
  })

  it('is found where its end was cut off, also with its head', async () => {
    const { partition, length } = await aChain()
    await change('delete from audit.entry where partition = $1 and sequence > $2', partition, length - 2)
    const cut = [at(partition, length - 1), at(partition, length)].map((one) => ({ kind: 'cut-off', ...one }))
    expect(await verified()).toMatchObject({ wrong: 2, findings: cut })
    const last = await entryOf(length - 2, partition)
    await change(
      'update audit.head set sequence = $2, hash = $3, position = $4 where partition = $1',
      partition,
      last.sequence,
      last.hash,
      last.position,
    )
    const { wrong, findings } = await verified()
    expect(wrong).toBe(3)
    expect(findings).toMatchObject([...cut, { kind: 'head', columns: ['sequence', 'hash', 'position'] }])
  })

  it('is found where an entry was put in', async () => {
    const { partition } = await aChain()
    const columns = (
      await change(
        `select string_agg(column_name, ', ') as names from information_schema.columns
         where table_schema = 'audit' and table_name = 'entry' and column_name <> 'event_id'`,
      )
    ).rows[0].names as string
    await change(
      `insert into audit.entry (event_id, ${columns}) select gen_random_uuid(), ${columns} from audit.entry
       where partition = $1 and sequence = 2`,
      partition,
    )
    const { wrong, findings } = await verified()
    expect(wrong).toBeGreaterThanOrEqual(1)
    expect(findings.map(({ kind }) => kind)).toContain('inserted')
    expect(findings[0]).toMatchObject(at(partition, 2))
  })

  it('is found where two entries changed places', async () => {
    const { partition } = await aChain()
    const [one, other] = [await entryOf(2, partition), await entryOf(3, partition)]
    await change(`update audit.entry set position = $2 where event_id = $1`, one.event_id, other.position)
    await change(`update audit.entry set position = $2 where event_id = $1`, other.event_id, one.position)
    const { findings } = await verified()
    expect(findings[0]).toMatchObject({ kind: 'changed', ...at(partition, 2) })
  })

  it('is found where all hashes after a change were made to fit again', async () => {
    const { partition, length } = await aChain()
    const entry = await entryOf(2, partition)
    // What a forger would do who knows how hashes are made: only the log is not theirs.
    await change(
      `update audit.entry set content_hash = repeat('a', 64), hash = encode(sha256(hash::bytea), 'hex') where partition = $1 and sequence >= 2`,
      partition,
    )
    const { wrong, findings } = await verified()
    expect(wrong).toBe(length - 1)
    expect(findings[0]).toMatchObject({ kind: 'changed', ...at(partition, 2), eventId: entry.event_id })
  })

  it('is found where its head was changed', async () => {
    const { partition } = await aChain()
    await change(`update audit.head set hash = repeat('f', 64) where partition = $1`, partition)
    expect(await verified()).toMatchObject({ wrong: 1, findings: [{ kind: 'head', partition, columns: ['hash'] }] })
  })

  it('is found by looks at random parts', async () => {
    const { partition } = await aChain()
    expect(await verified({ sample: 10 })).toMatchObject({ wrong: 0, isWhole: false })
    await change(`update audit.entry set result = 'denied' where partition = $1 and sequence = 3`, partition)
    let wrong = 0
    for (let i = 0; i < 200 && wrong === 0; i++) wrong = (await verified({ sample: 40 })).wrong
    expect(wrong).toBe(1)
  })

  it('is noticed by the projector, and so is that it was mended', async () => {
    const { partition } = await aChain()
    const told = { found: 0, differing: -1, failed: 0 }
    const checker = createDriftChecker([audit], {
      pool: world.database.pool,
      log: world.own.log,
      openAll: opensNothing,
      logger: silent,
      observer: {
        checked: () => undefined,
        found: () => (told.found += 1),
        differing: (_, count) => (told.differing = count),
        failed: () => (told.failed += 1),
      },
    })
    await checker.round()
    expect(told).toEqual({ found: 0, differing: 0, failed: 0 })
    const { hash, event_id } = await entryOf(3, partition)
    await change(`update audit.entry set hash = repeat('0', 64) where event_id = $1`, event_id)
    for (let i = 0; i < 100 && told.found === 0; i++) await checker.round()
    expect(told.found).toBeGreaterThan(0)
    await checker.round()
    expect(told.differing).toBeGreaterThan(0)
    await change('update audit.entry set hash = $2 where event_id = $1', event_id, hash)
    // A look that begins behind a wrong hash finds all entries behind it: a few at a time are looked at again.
    for (let i = 0; i < 20 && told.differing > 0; i++) await checker.round()
    expect(told).toMatchObject({ differing: 0, failed: 0 })
  })
})

describe('anchors in the log', () => {
  // The log is shared: each test has a stream of its own.
  let anchors: string
  beforeEach(() => {
    anchors = `audit-${randomUUID()}`
  })

  const anchored = async (hash?: string) => {
    const { rows } = await world.database.pool.query(
      'select topic, partition, sequence, hash, position from audit.head',
    )
    const heads = rows.map((head) => ({
      ...head,
      sequence: Number(head.sequence),
      position: String(head.position),
      hash: hash ?? head.hash,
    }))
    const readTo = String((await world.own.events()).at(-1)!.position)
    return { type: 'audit.anchored' as const, data: { readTo, heads } }
  }

  it('are compared with the entries that they name, also when the chain has gone on', async () => {
    const { feed } = await live()
    await feed((await world.own.pay(10)).events)
    await following().round()
    const first = await anchored()
    await feed((await world.own.pay(10)).events)
    await world.own.append(anchors, 0, first)
    await following().round()
    await world.own.append(anchors, 1, await anchored())
    const { anchors: seen, ...report } = await verified()
    expect(report).toMatchObject({ ...whole, entries: 60 })
    expect(seen.compared).toBeGreaterThan(first.data.heads.length)
    expect(Date.parse(seen.lastAt!)).toBeGreaterThan(Date.now() - 60_000)
  })

  it('say that the log was another one, although the entries follow from it', async () => {
    const { feed } = await live()
    await feed((await world.own.pay(10)).events)
    await following().round()
    const other = await anchored('f'.repeat(64))
    await world.own.append(anchors, 0, other)
    const { wrong, findings } = await verified()
    expect(wrong).toBe(other.data.heads.length)
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(['anchor']))
    const names = findings.map(({ partition, sequence }) => `${partition}: ${sequence}`).toSorted()
    expect(names).toEqual(other.data.heads.map(({ partition, sequence }) => `${partition}: ${sequence}`).toSorted())
  })

  it('of entries that are not there yet are passed over', async () => {
    const { feed } = await live()
    const { events } = await world.own.pay(3)
    await feed(events)
    await following().round()
    const head = { topic: 'annals.payments', partition: 0, sequence: 1_000, hash: 'f'.repeat(64) }
    const position = String(events.at(-1)!.position + 1_000_000n)
    await world.own.append(anchors, 0, {
      type: 'audit.anchored',
      data: { readTo: position, heads: [{ ...head, position }] },
    })
    expect(await verified()).toMatchObject({ wrong: 0, anchors: { compared: 0 } })
  })
})
