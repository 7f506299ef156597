import { describe, expect, it } from '@jest/globals'
import { placeOf } from '@annals/contracts'
import { readCommand } from '../../../src/relay/options'
import { resumePosition } from '../../../src/relay/resume'
import { mainRoute, RouteError, versionRoute } from '../../../src/relay/route'

const stream = 'payment-0190a1b2-3c4d-7e5f-8a9b-0c1d2e3f4a5b'

describe('a route', () => {
  it('publishes every category of the published language under one name', () => {
    expect(mainRoute).toMatchObject({ name: 'annals.relay', prefixes: ['user-', 'session-', 'payment-'] })
    expect(mainRoute.place(stream)).toEqual(placeOf(stream))
    expect(mainRoute.place('credential-1')).toBeUndefined()
  })

  it('fills a new version of a topic under a name of its own, with a count of its own', () => {
    const route = versionRoute('annals.payments.v2', 12)
    expect(route).toMatchObject({
      name: 'annals.relay.annals.payments.v2',
      prefixes: ['payment-'],
      topics: [{ topic: 'annals.payments.v2', partitions: 12 }],
    })
    expect(route.place(stream)).toMatchObject({ topic: 'annals.payments.v2' })
    expect(route.place('user-1')).toBeUndefined()
    expect(versionRoute('annals.payments.v3').topics).toEqual([{ topic: 'annals.payments.v3', partitions: 6 }])
  })

  it.each(['annals.payments', 'annals.payments.v0', 'annals.other.v2', 'payments.v2', 'annals.payments.v2.v3', ''])(
    'is refused to %j, which is no version of a topic',
    (topic) => expect(() => versionRoute(topic)).toThrow(RouteError),
  )
})

describe('the command line', () => {
  it('means the main relay when it is empty', () =>
    expect(readCommand([])).toEqual({ route: mainRoute, untilCaughtUp: false, resumeAfter: undefined }))

  it('fills a topic and ends', () =>
    expect(
      readCommand(['--from-start', '--to', 'annals.users.v2', '--partitions', '3', '--until-caught-up']),
    ).toMatchObject({ untilCaughtUp: true, route: { topics: [{ topic: 'annals.users.v2', partitions: 3 }] } }))

  it('takes the position at which publishing stopped', () =>
    expect(readCommand(['--resume-after', '9223372036854775807']).resumeAfter).toBe(9223372036854775807n))
})

describe('where publishing goes on', () => {
  const offsets = (high: bigint) => ({ offsets: async () => [{ partition: 0, low: high, high }] })

  it('is the checkpoint', async () => expect(await resumePosition(41n, mainRoute, offsets(9n), undefined)).toBe(41n))
  it('is the beginning of the log when the topics never had a record', async () =>
    expect(await resumePosition(undefined, mainRoute, offsets(0n), undefined)).toBe(-1n))
  it('is the beginning when the topics are not there', async () =>
    expect(await resumePosition(undefined, mainRoute, { offsets: async () => undefined }, undefined)).toBe(-1n))
  it('is not known when a topic had records, even if they are gone', () =>
    expect(resumePosition(undefined, mainRoute, offsets(9n), undefined)).rejects.toThrow(/checkpoint is missing/))
  it('is what the operator says when the checkpoint is lost', async () =>
    expect(await resumePosition(undefined, mainRoute, offsets(9n), 7n)).toBe(7n))
})
