import { describe, expect, it, jest } from '@jest/globals'
import type { CheckpointedPublisher } from '@annals/platform/kafka'
import { checkpointText, readCheckpoint, type RelayCheckpoint, type TopicPlace } from '../../../src/relay/checkpoint'
import { Publication } from '../../../src/relay/publication'
import { goesOnFrom, startsOf } from '../../../src/relay/division'
import { RelayRefusal } from '../../../src/relay/refusals'
import { divide, mainRoute } from '../../../src/relay/route'

const [others, payments] = divide(mainRoute, 'annals.payments;annals.users,annals.sessions,annals.challenges')
const place: TopicPlace = { id: 'an-id', ends: [1n, 2n] }
const main: RelayCheckpoint = {
  position: 40n,
  event: 'e40',
  topics: new Map([
    ['annals.payments', place],
    ['annals.users', { ...place, after: 30n }],
  ]),
  isBare: false,
}
const divided = { ...main, routes: payments!.part!.routes, division: 'd2' }
const committed = (checkpoint: RelayCheckpoint) => ({
  position: checkpoint.position,
  metadata: checkpointText(checkpoint),
})

describe('what a relay goes on from', () => {
  it('is its own checkpoint, where it does all of the work', () => {
    expect(goesOnFrom(mainRoute, committed(main), undefined)).toEqual({ committed: committed(main) })
    expect(goesOnFrom(mainRoute, undefined, undefined)).toEqual({ committed: undefined })
  })

  it('is first the place where the division began, with its own topics', () => {
    const [start] = startsOf(mainRoute, divided)
    expect(start!.groupId).toBe(others!.name)
    expect(readCheckpoint(start!)).toMatchObject({ position: 40n, event: 'e40', division: 'd2', routes: undefined })
    expect([...readCheckpoint(start!).topics]).toEqual([['annals.users', { ...place, after: 30n }]])
    const goingOn = goesOnFrom(others!, start, committed(divided))
    expect(goingOn).toEqual({
      committed: start,
      division: 'd2',
      whole: { ...committed(divided), groupId: mainRoute.name },
    })
  })

  it('is nothing where its checkpoint was lost, or is of another division: nobody may guess it', () => {
    const former = committed({ ...main, position: 35n, division: 'd1', isClosed: true })
    for (const own of [undefined, former, committed(main)])
      expect(goesOnFrom(others!, own, committed(divided))).toMatchObject({ committed: undefined, division: 'd2' })
  })

  it('keeps the main checkpoint from being forgotten, in the transaction that confirms its own', async () => {
    const { whole } = goesOnFrom(others!, undefined, committed(divided))
    const publish = jest.fn<CheckpointedPublisher['publish']>(async () => undefined)
    const publication = new Publication({ publish }, new Set(['annals.users']), main, whole)
    await publication.confirm()
    await publication.forward({ records: [], position: 41n, event: 'e41' })
    expect(publish.mock.calls.map((args) => args[3])).toEqual([[whole], undefined])
  })

  it('is nothing while the work is divided otherwise, or a change is under way', () => {
    expect(() => goesOnFrom(mainRoute, committed(divided), undefined)).toThrow(RelayRefusal)
    expect(() => goesOnFrom(payments!, undefined, committed(main))).toThrow(/one relay publishes everything/)
    expect(() => goesOnFrom(payments!, undefined, undefined)).toThrow(RelayRefusal)
    const closed = committed({ ...main, division: 'd2', isClosed: true })
    expect(() => goesOnFrom(payments!, closed, committed(divided))).toThrow(/has begun and is not done/)
  })

  it('is kept from a release that knows no routes', () => {
    expect(JSON.parse(checkpointText(divided))).toMatchObject({ v: 2 })
    expect(JSON.parse(checkpointText(main))).toMatchObject({ v: 1 })
  })
})
