import { describe, expect, it, jest } from '@jest/globals'
import { registered } from '../../src/engine/tables/registry'
import { parkedStreams, retryParked } from '../../src/engine/parking/parked'
import type { Grain, Projection } from '../../src/engine/definition/projection'
import { payments, paymentHistory, paymentTotals } from '../../src/projections'
import { checksumOf } from '../../src/replay/rebuild/checksum'
import { exitCodeOf, exitCodes } from '../../src/replay/exit-code'
import {
  NotEqual,
  rebuildAll,
  RebuildRunning,
  Unverified,
  type RebuildDependencies,
} from '../../src/replay/rebuild/rebuild'
import { rebuildHistory } from '../../src/replay/rebuild/rebuild-history'
import { abortRebuild } from '../../src/replay/rebuild/rebuild-state'
import { statusOf } from '../../src/replay/rebuild/status'
import { dropPrevious, NoPrevious, rollBack } from '../../src/replay/rebuild/swap'
import { opensNothing } from '../support/facts'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { paceOf } from '../../src/replay/fold/pace'
import { createReadModels } from '../support/read-models'

// Each goes through a whole rebuild, some through several, perhaps on a busy machine.
jest.setTimeout(90_000)

const world = useOwnWorld()

const three: readonly Projection[] = [payments, paymentTotals, paymentHistory]

const deps = (over: Partial<RebuildDependencies> = {}) => rebuildDependencies(world, over)

const row = async (schema: string, paymentId: string) =>
  (await world.database.pool.query(`select * from ${schema}.payment where payment_id = $1`, [paymentId])).rows[0]

/** Events of one step, after which an interruption is noticed. */
const stepSize = paceOf(undefined).foldSize

describe('a rebuild', () => {
  it('equals the live read models and takes their place, while events flow', async () => {
    const models = await createReadModels(world.database.pool, three)
    await models.feed((await world.own.pay(60, 10)).events)
    const flowing = { on: true }
    let flowed = 0
    const flow = (async () => {
      while (flowing.on) {
        const { events } = await world.own.pay(5)
        await models.feed(events)
        flowed += events.length
      }
    })()
    const rebuilt = await rebuildAll(three, deps()).finally(() => {
      flowing.on = false
      return flow
    })

    expect(
      rebuilt.map(({ projection, verification }) => [projection, verification.equal, verification.compared]),
    ).toEqual(three.map(({ name }) => [name, true, true]))
    expect(flowed).toBeGreaterThan(0)
    // Fed on after the swap, at the offsets where live stood: nothing is missing, nothing was applied twice.
    await models.feed((await world.own.pay(10)).events)
    const all = await world.own.events()
    for (const projection of three) {
      const { rows } = await world.database.pool.query(
        `select sum(revision + 1) as seen from ${projection.name}.stream`,
      )
      expect(Number(rows[0].seen)).toBe(all.length)
      const { version } = projection
      expect(await registered(world.database.pool, projection.name)).toEqual({ version, previousVersion: version })
    }
    const { rows } = await world.database.pool.query(
      'select sum(completed_count) as n from payment_totals.payment_total',
    )
    expect(Number(rows[0].n)).toBe(all.filter(({ type }) => type === 'payment.processed').length)
  })

  it('goes on after PostgreSQL has cut it off, and folds nothing twice', async () => {
    const models = await createReadModels(world.database.pool, [payments, paymentTotals])
    await models.feed((await world.own.pay(40, 58)).events)
    let cut = false
    const observer = {
      stage: () => undefined,
      progress: () => {
        if (cut) return
        cut = true
        void world.database.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid()`,
        )
      },
    }
    await expect(rebuildAll([payments, paymentTotals], deps({ observer, throttle: 5_000 }))).rejects.toThrow()

    const rebuilt = await rebuildAll([payments, paymentTotals], deps())
    expect(rebuilt.map(({ events, verification }) => [Number(events), verification.equal])).toEqual([
      [2_400, true],
      [2_400, true],
    ])
  })

  it('keeps what was folded when it is interrupted, and says that it goes on', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(35, 58)).events)
    const interruption = new AbortController()
    const observer = { stage: () => undefined, progress: () => interruption.abort() }
    const error = await rebuildAll([payments], deps({ observer, signal: interruption.signal })).catch((e: unknown) => e)
    expect(exitCodeOf(error)).toBe(exitCodes.interrupted)
    const { rebuild } = await statusOf(world.database.pool, payments)
    expect(rebuild).toMatchObject({ stage: 'folding', outcome: 'interrupted', events: stepSize })

    const told: unknown[] = []
    const second = {
      stage: (_: string, stage: string, facts?: object) => void told.push([stage, facts]),
      progress: () => undefined,
    }
    const [rebuilt] = await rebuildAll([payments], deps({ observer: second }))
    expect(told[0]).toEqual(['prepared', { version: 1, live: 1, resumedAfter: stepSize }])
    expect(Number(rebuilt!.events)).toBe(2_100)
  })

  it('finds a row that was changed by hand, names it, and swaps nothing', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    const { payments: paid, events } = await world.own.pay(50)
    await models.feed(events)
    const { paymentId } = paid[17]!
    await world.database.pool.query(
      'update payments.payment set amount_minor = amount_minor + 1 where payment_id = $1',
      [paymentId],
    )
    const error = await rebuildAll([payments], deps()).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(NotEqual)
    expect((error as NotEqual).verification.differing).toEqual([paymentId])
    expect(exitCodeOf(error)).toBe(exitCodes.notEqual)
    expect((await row('payments', paymentId)).amount_minor).toBe(1251n)

    await world.database.pool.query(
      'update payments.payment set amount_minor = amount_minor - 1 where payment_id = $1',
      [paymentId],
    )
    const [rebuilt] = await rebuildAll([payments], deps())
    expect(rebuilt!.verification.equal).toBe(true)
  })

  it('takes the place of a live one that is wrong, when the operator says so and all that was recounted agrees', async () => {
    const models = await createReadModels(world.database.pool, [paymentTotals])
    await models.feed((await world.own.pay(30)).events)
    const table = 'payment_totals.payment_total'
    await world.database.pool.query(`update ${table} set created_count = created_count + 5`)
    await expect(rebuildAll([paymentTotals], deps())).rejects.toThrow(NotEqual)
    const shadow = table.replace('.', '_next.')
    await world.database.pool.query(`update ${shadow} set created_count = created_count + 1`)
    // A shadow that is wrong itself is not accepted.
    await expect(rebuildAll([paymentTotals], deps({ acceptDifferences: true }))).rejects.toThrow(NotEqual)
    await world.database.pool.query(`update ${shadow} set created_count = created_count - 1`)
    const [rebuilt] = await rebuildAll([paymentTotals], deps({ acceptDifferences: true }))
    expect(rebuilt).toMatchObject({ swapped: true, verification: { compared: true, equal: false, agrees: true } })
    const { rows } = await world.database.pool.query(`select sum(created_count) as n from ${table}`)
    expect(Number(rows[0].n)).toBe(30)
  })

  it.each([
    ['a row that is missing', 'delete from payments.payment where payment_id = $1', / \(only rebuilt\)$/],
    [
      'a row that is too much',
      `insert into payments.payment select gen_random_uuid(), user_id, status, amount_minor, currency, method_type, description,
         failure_code, gateway_reference, attempts, created_at, updated_at, revision from payments.payment where payment_id = $1`,
      / \(only live\)$/,
    ],
  ])('finds %s', async (_, corruption, told) => {
    const models = await createReadModels(world.database.pool, [payments])
    const { payments: paid, events } = await world.own.pay(20)
    await models.feed(events)
    await world.database.pool.query(corruption, [paid[3]!.paymentId])
    const error = await rebuildAll([payments], deps()).catch((e: unknown) => e)
    expect((error as NotEqual).verification.differing).toEqual([expect.stringMatching(told)])
  })

  it('finds a wrong row of the shadow by folding streams afresh, even without a live one to compare with', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(20)).events)
    const next = { ...payments, version: 2 }
    const observer = {
      progress: () => undefined,
      stage: (_: string, stage: string) => {
        if (stage === 'indexing')
          corrupted = world.database.pool.query(`update payments_next.payment set status = 'lost'`)
      },
    }
    let corrupted: Promise<unknown> = Promise.resolve()
    const error = await rebuildAll([next], deps({ observer })).catch((e: unknown) => e)
    await corrupted
    expect(error).toBeInstanceOf(NotEqual)
    expect((error as NotEqual).verification).toMatchObject({ compared: false, sampled: 20, recounted: { rows: 20 } })
  })

  it('excludes another one of the same projection, and no other', async () => {
    const models = await createReadModels(world.database.pool, three)
    await models.feed((await world.own.pay(40, 58)).events)
    let begun: () => void = () => undefined
    const running = new Promise<void>((resolve) => (begun = resolve))
    const observer = { stage: () => undefined, progress: () => begun() }
    const first = rebuildAll([payments], deps({ observer, throttle: 1_000 }))
    await running
    const second = await rebuildAll([paymentTotals, payments], deps()).catch((e: unknown) => e)
    expect(second).toBeInstanceOf(RebuildRunning)
    await rebuildAll([paymentTotals], deps())
    await first
  })

  it('lets long readers finish on the tables they began with, and does not wait for them', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(30)).events)
    const reader = await world.database.pool.connect()
    await reader.query('begin')
    await reader.query('declare c cursor for select payment_id from payments.payment')
    await reader.query('fetch 5 from c')
    const [rebuilt] = await rebuildAll([payments], deps())
    expect(rebuilt!.lockedMs).toBeLessThan(1_000)
    expect((await reader.query('fetch all from c')).rows).toHaveLength(25)
    await reader.query('commit')
    reader.release()
  })

  it('waits for a projector transaction in hand, and swaps after it', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(10)).events)
    const projector = await world.database.pool.connect()
    await projector.query('begin')
    await projector.query(`select pg_advisory_xact_lock_shared(hashtextextended('annals.generation.payments', 0))`)
    let released = false
    setTimeout(() => {
      released = true
      void projector.query('commit').then(() => projector.release())
    }, 600)
    await rebuildAll([payments], deps())
    expect(released).toBe(true)
  })

  it('begins anew when it is told to, and can be aborted', async () => {
    await createReadModels(world.database.pool, [payments])
    const interruption = new AbortController()
    interruption.abort()
    await world.own.pay(2)
    await rebuildAll([payments], deps({ signal: interruption.signal })).catch(() => undefined)
    await rebuildAll([payments], deps({ restart: true }))
    const { rows } = await world.database.pool.query('select state, reason from annals.rebuild order by started_at')
    expect(rows.map(({ state }) => state)).toContain('live')
    expect(await abortRebuild(world.database.pool, 'payments', 'test')).toBe(false)
  })
})

describe('a first build', () => {
  const hashOf = async (projection: Projection) => (await checksumOf(world.database.pool, projection, 'live')).hash

  it('goes to the end of the log where nothing was ever applied; what Kafka then brings from its beginning changes nothing', async () => {
    const { events } = await world.own.pay(60, 10)
    const told: unknown[] = []
    const observer = {
      progress: () => undefined,
      stage: (name: string, stage: string, facts?: object) => void (stage === 'prepared' && told.push([name, facts])),
    }
    const rebuilt = await rebuildAll(three, deps({ observer }))
    expect(told).toEqual(three.map(({ name, version }) => [name, { version, live: version, firstBuild: true }]))
    expect(rebuilt.map((one) => [Number(one.events), one.verification.equal, one.verification.compared])).toEqual(
      three.map(() => [events.length, true, false]),
    )
    const { rows } = await world.database.pool.query(
      'select sum(completed_count) as n from payment_totals.payment_total',
    )
    expect(Number(rows[0].n)).toBe(60)

    const built = await Promise.all(three.map(hashOf))
    const models = await createReadModels(world.database.pool, three)
    await models.feed(events)
    expect(await Promise.all(three.map(hashOf))).toEqual(built)
    // And goes on with what comes after.
    await models.feed((await world.own.pay(5)).events)
    expect((await rebuildAll(three, deps())).map((one) => [one.verification.compared, one.verification.equal])).toEqual(
      three.map(() => [true, true]),
    )
  })

  it('that was interrupted goes on, although the projector has begun meanwhile', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    const { events } = await world.own.pay(35, 58)
    const interruption = new AbortController()
    const observer = { stage: () => undefined, progress: () => interruption.abort() }
    await expect(rebuildAll([payments], deps({ observer, signal: interruption.signal }))).rejects.toThrow()
    expect(await statusOf(world.database.pool, payments)).toMatchObject({ empty: true, rebuild: { events: stepSize } })

    await models.feed(events.slice(0, 50))
    const [rebuilt] = await rebuildAll([payments], deps())
    expect(rebuilt).toMatchObject({ events: 2_100n, verification: { equal: true, compared: false } })
    await models.feed(events.slice(50))
    const [again] = await rebuildAll([payments], deps())
    expect(again!.verification).toMatchObject({ equal: true, compared: true, rebuilt: { rows: 35n } })
  })
})

describe('a new version of a projection', () => {
  /** The same read model at its next version, with a column more. */
  const nextOf = (projection: Projection): Projection => ({
    ...projection,
    version: projection.version + 1,
    columns: { ...projection.columns, big: 'text' },
    on: Object.fromEntries(
      Object.entries(projection.on).map(([type, fold]) => [
        type,
        (before, event) => {
          const after = fold!(before, event)
          const { amount_minor: minor = 0n, created_minor: total = 0n } = after as Record<string, bigint>
          return { ...after, big: minor + total > 1_000n ? 'yes' : 'no' }
        },
      ]),
    ),
  })
  const second = nextOf(payments)

  /** Rebuilds, and has something done to the shadow before it is verified. */
  const spoiling = async (projection: Projection, sql: string, over: Partial<RebuildDependencies> = {}) => {
    let spoilt: Promise<unknown> | undefined
    const observer = {
      progress: () => undefined,
      stage: (_: string, stage: string) => {
        if (stage === 'indexing') spoilt = world.database.pool.query(sql)
      },
    }
    const error = await rebuildAll([projection], deps({ observer, ...over })).catch((e: unknown) => e)
    // That it was spoilt at all: a wrong statement would prove nothing.
    expect(await spoilt).toMatchObject({ rowCount: 1 })
    return error
  }
  const firstRow = (table: string, key: string) => `(select ${key} from ${table} order by random() limit 1)`

  const grains: [Grain, Projection, table: string, key: string, change: string, column: string][] = [
    ['stream', payments, 'payment', 'payment_id', `status = 'lost'`, 'status'],
    ['shard', paymentTotals, 'payment_total', 'bucket', 'completed_minor = completed_minor + 1', 'completed_minor'],
    ['event', paymentHistory, 'payment_event', 'event_id', 'revision = 7', 'revision'],
  ]

  const olds = grains.map(([grain, old]) => ({ grain, old }))
  it.each(olds)('of grain $grain is counted a second time on the way, and swapped when both agree', async ({ old }) => {
    const models = await createReadModels(world.database.pool, [old])
    await models.feed((await world.own.pay(60)).events)
    const next = nextOf(old)
    const [rebuilt] = await rebuildAll([next], deps())
    expect(rebuilt!.verification).toMatchObject({ compared: false, equal: true, recounted: { streams: 60 } })
    const { rows } = await world.database.pool.query(`select count(*) as n from ${next.name}.${next.table}`)
    expect(rebuilt!.verification.recounted.rows).toBe(Number(rows[0].n))
    const [{ verified } = {}] = await rebuildHistory(world.database.pool, { projection: next.name, limit: 1 })
    expect(verified).toMatchObject({ compared: false, recounted: rebuilt!.verification.recounted })
  })

  it.each(grains)(
    'of grain %s is not swapped with a wrong row, a missing one, one too many, or a wrong revision',
    async (grain, old, table, key, change, column) => {
      const models = await createReadModels(world.database.pool, [old])
      // Too many for fifty streams to meet the one; few enough for all rows to be recounted.
      await models.feed((await world.own.pay(300)).events)
      const next = nextOf(old)
      const shadow = `${next.name}_next.${table}`
      const columns = Object.keys(next.columns).join(', ')
      const another = grain === 'shard' ? `bucket || 'x', shard` : 'gen_random_uuid()'
      const where = grain === 'shard' ? `ctid = ${firstRow(shadow, 'ctid')}` : `${key} = ${firstRow(shadow, key)}`
      const spoils = [
        [`update ${shadow} set ${change} where ${where}`, new RegExp(`\\(not what a recount says: ${column}\\)$`)],
        [`delete from ${shadow} where ${where}`, /\(the row is missing\)$/],
        [
          `insert into ${shadow} select ${another}, ${columns} from ${shadow} where ${where}`,
          /\(no event makes this row\)$/,
        ],
        [
          `update ${next.name}_next.stream set revision = 1 where stream = ${firstRow(`${next.name}_next.stream`, 'stream')}`,
          /\(revision 1 was reached, a recount says 2\)$/,
        ],
      ] as const
      for (const [sql, told] of spoils) {
        const error = await spoiling(next, sql, { restart: true })
        expect(error).toBeInstanceOf(NotEqual)
        const { differing, compared } = (error as NotEqual).verification
        expect(compared).toBe(false)
        expect(differing).toContainEqual(expect.stringMatching(told))
      }
      expect(await registered(world.database.pool, next.name)).toMatchObject({ version: old.version })
    },
  )

  it('that was killed and goes on is recounted from the beginning', async () => {
    const models = await createReadModels(world.database.pool, [paymentTotals, payments])
    await models.feed((await world.own.pay(35, 58)).events)
    const both = [nextOf(paymentTotals), second]
    const interruption = new AbortController()
    const observer = { stage: () => undefined, progress: () => interruption.abort() }
    await expect(rebuildAll(both, deps({ observer, signal: interruption.signal }))).rejects.toThrow()
    // Of what the killed run has folded: later rows come beside it.
    const { rows: spoilt } = await world.database.pool.query(
      'update payment_totals_next.payment_total set created_count = created_count + 1 returning shard',
    )
    const error = await rebuildAll(both, deps()).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(NotEqual)
    expect((error as NotEqual).verification.differing).toContainEqual(
      expect.stringMatching(/EUR\|\d \(not what a recount says: created_count\)$/),
    )
    await world.database.pool.query(
      'update payment_totals_next.payment_total set created_count = created_count - 1 where shard = any($1)',
      [spoilt.map(({ shard }) => shard)],
    )
    const rebuilt = await rebuildAll(both, deps())
    expect(rebuilt.map(({ events, verification: { equal, recounted } }) => [Number(events), equal, recounted])).toEqual(
      [
        [2_100, true, { rows: expect.any(Number), streams: 35 }],
        [2_100, true, { rows: 35, streams: 35 }],
      ],
    )
  })

  it('of which nothing could be counted again is refused, unless the operator accepts it', async () => {
    await createReadModels(world.database.pool, [payments, paymentTotals])
    const broken = (projection: Projection): Projection => ({
      ...nextOf(projection),
      on: {
        'payment.created': () => {
          throw new Error('a rule that is wrong')
        },
      },
    })
    // An empty log leaves nothing to count.
    await rebuildAll([{ ...paymentTotals, version: 9 }], deps())
    await world.own.pay(5)
    for (const projection of [broken(payments), broken(paymentTotals)]) {
      const error = await rebuildAll([projection], deps()).catch((e: unknown) => e)
      expect(error).toBeInstanceOf(Unverified)
      expect(exitCodeOf(error)).toBe(exitCodes.unverified)
      const verifying = rebuildAll([projection], deps({ verifyOnly: true, restart: true }))
      await expect(verifying).rejects.toThrow(Unverified)
      const [rebuilt] = await rebuildAll([projection], deps({ acceptUnverified: true }))
      expect(rebuilt).toMatchObject({ swapped: true, verification: { sampled: 0, recounted: { rows: 0 } } })
    }
  })

  it('is built beside the old one, which no projector of the other release may touch', async () => {
    const old = await createReadModels(world.database.pool, [payments])
    const { events } = await world.own.pay(20)
    await old.feed(events)
    const release = await createReadModels(world.database.pool, [second])
    const outside = async () =>
      (await world.database.pool.query('select count(*)::integer as n from annals.place where not joined')).rows[0].n
    await release.feed((await world.own.pay(1)).events)
    // It goes on where it is left, and the rows of the other version stay as they are.
    expect(await outside()).toBe(1)

    const [rebuilt] = await rebuildAll([second], deps())
    expect(rebuilt).toMatchObject({ version: 2, verification: { compared: false, equal: true } })
    const { rows } = await world.database.pool.query('select big, count(*) as n from payments.payment group by big')
    expect(rows).toEqual([{ big: 'yes', n: 21n }])
    expect(await outside()).toBe(0)
    await old.feed((await world.own.pay(1)).events)
    expect(await outside()).toBe(1)
  })

  it('can be rolled back, and forth again, until the previous one is dropped', async () => {
    const old = await createReadModels(world.database.pool, [payments])
    await old.feed((await world.own.pay(5)).events)
    await rebuildAll([second], deps())
    expect(await rollBack(world.database.pool, second)).toBe(1)
    await old.feed((await world.own.pay(2)).events)
    expect(await rollBack(world.database.pool, second)).toBe(2)
    await dropPrevious(world.database.pool, second)
    await expect(rollBack(world.database.pool, second)).rejects.toThrow(NoPrevious)
    expect(await registered(world.database.pool, 'payments')).toEqual({ version: 2, previousVersion: undefined })
  })
})

describe('parked events', () => {
  const broken: Projection = {
    ...payments,
    on: {
      ...payments.on,
      'payment.process_started': () => {
        throw new Error('a rule that is wrong')
      },
    },
  }

  it('are applied in order once the rule is right', async () => {
    const { payments: paid, events } = await world.own.pay(3)
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    const parked = await parkedStreams(world.database.pool, payments, 10)
    expect(parked).toHaveLength(3)
    expect(parked[0]).toMatchObject({ events: 2, revision: 1, error: 'a rule that is wrong' })

    const { stream, paymentId } = paid[0]!
    const again = await retryParked(world.database.pool, broken, stream, opensNothing, 'test')
    expect(again).toMatchObject({ applied: 0, error: { message: 'a rule that is wrong' } })
    expect(await retryParked(world.database.pool, payments, stream, opensNothing, 'test')).toEqual({
      applied: 2,
      error: undefined,
    })
    expect(await row('payments', paymentId)).toMatchObject({ status: 'completed', attempts: 1 })
    expect(await parkedStreams(world.database.pool, payments, 10)).toHaveLength(2)
    // The stream flows again.
    const { rows } = await world.database.pool.query(
      'select revision, blocked from payments.stream where stream = $1',
      [stream],
    )
    expect(rows).toEqual([{ revision: 2n, blocked: false }])
  })

  it('are parked by a rebuild with the same rule as well, so both are equal; with another rule they differ', async () => {
    const { events } = await world.own.pay(4)
    await (await createReadModels(world.database.pool, [broken])).feed(events)
    const [rebuilt] = await rebuildAll([broken], deps())
    expect(rebuilt!.verification.equal).toBe(true)
    expect(await parkedStreams(world.database.pool, payments, 10)).toHaveLength(4)
    await expect(rebuildAll([payments], deps())).rejects.toThrow(NotEqual)
  })
})

describe('a checksum', () => {
  it('does not depend on the order of rows', async () => {
    const models = await createReadModels(world.database.pool, [payments])
    await models.feed((await world.own.pay(10)).events)
    const before = await checksumOf(world.database.pool, payments, 'live')
    await world.database.pool.query('create table copy as select * from payments.payment order by random()')
    await world.database.pool.query('delete from payments.payment')
    await world.database.pool.query('insert into payments.payment select * from copy order by random()')
    expect(await checksumOf(world.database.pool, payments, 'live')).toEqual(before)
    await world.database.pool.query(
      `update payments.payment set currency = 'USD' where ctid = (select min(ctid) from payments.payment)`,
    )
    expect(await checksumOf(world.database.pool, payments, 'live')).not.toEqual(before)
  })
})
