import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { EventStoreDBClient } from '@eventstore/db-client'
import { requireEnv } from '@annals/platform/testing'
import type { Projection } from '../../src/engine/definition/projection'
import { activity, paymentHistory, payments, paymentTotals } from '../../src/projections'
import { checksumOf } from '../../src/replay/rebuild/checksum'
import { rebuildAll } from '../../src/replay/rebuild/rebuild'
import { topicsOf } from '../../src/engine/definition/topics'
import { makeSnapshots } from '../../src/replay/snapshots/as-of'
import { logSource, streamsInScope, streamsSource, type EventSource } from '../../src/replay/source/event-source'
import { opensNothing } from '../support/facts'
import { rebuildDependencies, useOwnWorld } from '../support/own-world'
import { createReadModels } from '../support/read-models'

jest.setTimeout(90_000)

const world = useOwnWorld()
const four: readonly Projection[] = [payments, paymentTotals, paymentHistory, activity]

/** Whoever keeps the log, with a client of their own. */
let keeper: EventStoreDBClient
beforeAll(() => {
  keeper = EventStoreDBClient.connectionString(requireEnv('EVENTSTORE_URL'))
})
afterAll(() => keeper.dispose())

/** Read models of six payments; then one is deleted for good, one softly, and one softly and written to again. */
async function threeDeleted() {
  const models = await createReadModels(world.database.pool, four)
  const { payments: paid, events } = await world.own.pay(6)
  await models.feed(events)
  const [hard, soft, again] = paid
  await keeper.tombstoneStream(hard!.stream)
  await keeper.deleteStream(soft!.stream)
  await keeper.deleteStream(again!.stream)
  const { stream, paymentId, userId, amount } = again!
  await world.own.append(stream, 3, {
    type: 'payment.failed',
    data: { paymentId, userId, attempt: 2, amount, code: 'card-declined' },
  })
  await models.feed((await world.own.events()).slice(-1))
  return { paid, deleted: [hard!, soft!, again!].map((payment) => payment.stream).toSorted(), hard: hard! }
}

const sums = (generation: 'live' | 'asof_then') =>
  Promise.all(four.map((projection) => checksumOf(world.database.pool, projection, generation)))

const make = (source: EventSource, kind: 'as-of' | 'scope') =>
  makeSnapshots({
    projections: four,
    snapshot: 'asof_then',
    source,
    facts: { kind, what: 'a test' },
    pool: world.database.pool,
    openAll: opensNothing,
    signal: new AbortController().signal,
  })

describe('streams that somebody has deleted in the log', () => {
  it('keep no read model from being rebuilt, and are told of', async () => {
    const { deleted } = await threeDeleted()
    const before = await sums('live')
    const rebuilt = await rebuildAll(four, rebuildDependencies(world))
    for (const { verification } of rebuilt) {
      expect(verification).toMatchObject({ equal: true, compared: true })
      expect(verification.deleted.toSorted()).toEqual(deleted)
    }
    expect(await sums('live')).toEqual(before)
    const next = four.map((projection) => ({ ...projection, version: projection.version + 1 }))
    for (const { verification } of await rebuildAll(next, rebuildDependencies(world)))
      expect(verification).toMatchObject({ equal: true, compared: false })
    expect(await sums('live')).toEqual(before)
  })

  it('are in a snapshot of a former time as the log still tells of them', async () => {
    await threeDeleted()
    await make(logSource(world.own.log, topicsOf(four), { kind: 'time', at: Date.now() }), 'as-of')
    expect(await sums('asof_then')).toEqual(await sums('live'))
  })

  it('are passed over in a scope, which holds the others', async () => {
    const { deleted, hard } = await threeDeleted()
    const { signal } = new AbortController()
    const streams = await streamsInScope(world.own.log, topicsOf(four), { from: { kind: 'time', at: 0 } }, signal)
    const source = streamsSource(world.own.log, streams)
    const made = await make(source, 'scope')
    expect(made.map(({ events }) => events)).toEqual(four.map(() => 9))
    expect(source.passedOver?.toSorted()).toEqual(deleted)
    const alone = streamsSource(world.own.log, [hard.stream])
    for await (const chunk of alone.chunks(signal)) expect(chunk).toEqual([])
    expect(alone.passedOver).toEqual([hard.stream])
  })
})
