import { describe, expect, it } from '@jest/globals'
import { checkpointText, readCheckpoint, type RelayCheckpoint, type TopicPlace } from '../../../src/relay/checkpoint'
import { goesOnFrom } from '../../../src/relay/division'
import { RelayRefusal } from '../../../src/relay/refusals'
import { divide, mainRoute } from '../../../src/relay/route'

const [payments, others] = divide(mainRoute, 'annals.payments;annals.users,annals.sessions')
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
    expect(goesOnFrom(mainRoute, committed(main), undefined)).toEqual(committed(main))
    expect(goesOnFrom(mainRoute, undefined, undefined)).toBeUndefined()
  })

  it('is the place where the division began, with its own topics, and its own checkpoint from then on', () => {
    const start = goesOnFrom(others!, undefined, committed(divided))!
    expect(readCheckpoint(start)).toMatchObject({ position: 40n, event: 'e40', division: 'd2' })
    expect([...readCheckpoint(start).topics]).toEqual([['annals.users', { ...place, after: 30n }]])
    const own = committed({ ...main, position: 50n, division: 'd2' })
    expect(goesOnFrom(others!, own, committed(divided))).toEqual(own)
  })

  it('is not what a route had under another division', () => {
    const former = committed({ ...main, position: 35n, division: 'd1', isClosed: true })
    expect(goesOnFrom(others!, former, committed(divided))).toMatchObject({ position: 40n })
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
