import { expect, it, jest } from '@jest/globals'
import { placeOf } from '@annals/contracts'
import { createCatchUp } from '../../src/engine/live/catch-up'
import type { Projection } from '../../src/engine/definition/projection'
import { installProjection } from '../../src/engine/tables/registry'
import { payments, paymentTotals } from '../../src/projections'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { rollBack } from '../../src/replay/rebuild/swap'
import { silent } from '../support/database'
import { opensNothing } from '../support/facts'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { createReadModels, nobody } from '../support/read-models'

jest.setTimeout(60_000)

const world = useOwnWorld()
const sql = (text: string) => world.database.pool.query(text)

/** Gives a read model the tables that the release before the lane gave each of them. */
async function asFormerly({ name }: Projection): Promise<void> {
  for (const schema of [name, `${name}_previous`]) {
    const { rows } = await sql(`select from pg_namespace where nspname = '${schema}'`)
    if (rows.length === 0) continue
    await sql(`create table ${schema}.s as select * from ${schema}.stream`)
    await sql(`create table ${schema}.c as select * from ${schema}.checkpoint`)
    await sql(`alter table ${schema}.c drop column joined`)
    await sql(`drop view ${schema}.stream; drop view ${schema}.checkpoint; drop table if exists ${schema}.place`)
    await sql(`alter table ${schema}.s rename to stream; alter table ${schema}.c rename to checkpoint`)
  }
  await sql(
    `delete from annals.place where projection = '${name}'; delete from annals.blocked where projection = '${name}'`,
  )
}

it('takes over what the former release made, and applies nothing twice although the topics are read again', async () => {
  const two = [payments, paymentTotals]
  const { events: first } = await world.own.pay(20)
  await (await createReadModels(world.database.pool, two)).feed(first)
  await rebuildAll([payments], rebuildDependencies(world))
  for (const projection of two) await asFormerly(projection)
  await sql('delete from annals.stream; delete from annals.lane_checkpoint')

  for (const projection of two) await installProjection(world.database.pool, projection)
  const models = await createReadModels(world.database.pool, two)
  const { events: second } = await world.own.pay(10)
  await models.feed([...first, ...second])
  const counts = async () => {
    const { rows } = await sql(
      `select (select count(*) from payments.payment where attempts = 1 and status = 'completed') as payments,
         (select sum(completed_count)::bigint from payment_totals.payment_total) as totals`,
    )
    return rows[0]
  }
  expect(await counts()).toEqual({ payments: 30n, totals: 30n })
  const { rows } = await sql('select count(*) as streams, sum(revision) as revisions from payments.stream')
  expect(rows[0]).toEqual({ streams: 30n, revisions: '60' })

  // The rows that were kept for a rollback as well.
  await rollBack(world.database.pool, payments)
  const { pool } = world.database
  await createCatchUp(two, {
    pool,
    openAll: opensNothing,
    log: silent,
    eventLog: world.own.log,
    observer: nobody,
  }).round()
  expect(await counts()).toEqual({ payments: 30n, totals: 30n })
  expect((await sql('select from annals.place where not joined')).rows).toEqual([])
  expect(new Set(first.map(({ stream }) => placeOf(stream)!.topic))).toEqual(new Set(['annals.payments']))
})
