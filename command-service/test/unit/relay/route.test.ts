import { describe, expect, it } from '@jest/globals'
import { placeOf } from '@annals/contracts'
import { readCommand, RelayConfig, routeOf } from '../../../src/relay/options'
import {
  divide,
  fillerName,
  mainRoute,
  prefixesOf,
  RouteError,
  routeWith,
  versionRoute,
} from '../../../src/relay/route'

const stream = 'payment-0190a1b2-3c4d-7e5f-8a9b-0c1d2e3f4a5b'

describe('a route', () => {
  it('publishes every category of the published language under one name', () => {
    expect(mainRoute.name).toBe('annals.relay')
    expect(prefixesOf(mainRoute)).toEqual(['user-', 'session-', 'challenge-', 'payment-'])
    expect(mainRoute.place(stream)).toEqual(placeOf(stream))
    expect(mainRoute.place('credential-1')).toBeUndefined()
  })

  it('fills a new version of a topic under a name of its own, with a count of its own', () => {
    const route = versionRoute('annals.payments.v2', 12)
    expect(route).toMatchObject({
      name: 'annals.relay.annals.payments.v2',
      topics: [{ topic: 'annals.payments.v2', partitions: 12, prefix: 'payment-' }],
    })
    expect(route.place(stream)).toMatchObject({ topic: 'annals.payments.v2' })
    expect(route.place('user-1')).toBeUndefined()
    expect(versionRoute('annals.payments.v3').topics).toEqual([
      { topic: 'annals.payments.v3', partitions: 6, prefix: 'payment-' },
    ])
  })

  it.each(['annals.payments', 'annals.payments.v0', 'annals.other.v2', 'payments.v2', 'annals.payments.v2.v3', ''])(
    'is refused to %j, which is no version of a topic',
    (topic) => expect(() => versionRoute(topic)).toThrow(RouteError),
  )
})

describe('the routes of a division', () => {
  const two = 'annals.payments; annals.users,annals.sessions,annals.challenges'

  it('are one of everything unless they are set', () => {
    expect(divide(mainRoute, '')).toEqual([mainRoute])
    expect(divide(mainRoute, ' annals.payments,annals.users,annals.sessions,annals.challenges')).toEqual([mainRoute])
  })

  it('have names, streams and topics of their own, whatever order they are written in', () => {
    const [others, payments] = divide(mainRoute, two)
    expect([payments!.name, others!.name]).toEqual([
      'annals.relay/annals.payments',
      'annals.relay/annals.challenges+annals.sessions+annals.users',
    ])
    expect(prefixesOf(payments!)).toEqual(['payment-'])
    expect(payments!.place(stream)).toEqual(placeOf(stream))
    expect(others!.place(stream)).toBeUndefined()
    const swapped = divide(mainRoute, 'annals.sessions,annals.users,annals.challenges;annals.payments')
    expect(swapped.map(({ name }) => name)).toEqual([others!.name, payments!.name])
    // Whoever fills a topic version has one name under every division.
    expect(fillerName(payments!, 'annals.payments.v2')).toBe(fillerName(mainRoute, 'annals.payments.v2'))
  })

  it.each([
    ['annals.payments;annals.users', /annals\.sessions, annals\.challenges is in no route/],
    ['annals.payments;annals.payments,annals.users,annals.sessions', /annals\.payments is given twice/],
    ['annals.payments;annals.users;annals.sessions;annals.orders', /"annals\.orders" is no topic/],
    ['annals.payments;;annals.users,annals.sessions', /without a name/],
  ])('are refused as %j, in words', (text, words) => {
    expect(() => divide(mainRoute, text)).toThrow(words)
    const config = { EVENTSTORE_URL: 'esdb://a:1', KAFKA_BROKERS: 'a:1', RELAY_ROUTES: text }
    expect(RelayConfig.safeParse(config).error?.issues[0]?.message).toMatch(words)
  })

  it('are taken by one relay each, which says by a topic which one is its own', () => {
    const routes = divide(mainRoute, two)
    expect(routeWith([mainRoute], undefined)).toBe(mainRoute)
    expect(routeWith(routes, 'annals.users')).toBe(routes[0])
    expect(() => routeWith(routes, undefined)).toThrow(/RELAY_ROUTE to annals.[a-z]+ or annals.payments/)
    expect(() => routeWith(routes, 'annals.orders')).toThrow(RouteError)
    const config = { RELAY_ROUTES: two, RELAY_ROUTE: 'annals.users' }
    const { wishes } = readCommand(['--refill', 'annals.payments'])
    expect(() => routeOf({ filled: undefined, wishes }, config)).toThrow(/Set RELAY_ROUTE to annals\.payments/)
  })
})

describe('the command line', () => {
  it('means the main relay when it is empty', () =>
    expect(readCommand([])).toEqual({
      filled: undefined,
      untilCaughtUp: false,
      changeRoutes: false,
      wishes: undefined,
    }))

  it('fills a topic and ends', () =>
    expect(
      readCommand(['--from-start', '--to', 'annals.users.v2', '--partitions', '3', '--until-caught-up']),
    ).toMatchObject({ untilCaughtUp: true, filled: { topics: [{ topic: 'annals.users.v2', partitions: 3 }] } }))

  it('takes the position at which publishing stopped', () =>
    expect(readCommand(['--resume-after', '9223372036854775807']).wishes?.resumeAfter).toBe(9223372036854775807n))

  it('takes what the operator says to a refusal', () =>
    expect(readCommand(['--refill', 'annals.users', '--refill', 'annals.payments', '--delete-topics']).wishes).toEqual({
      resumeAfter: undefined,
      refill: ['annals.users', 'annals.payments'],
      acceptLog: false,
      deleteTopics: true,
    }))
})

describe('the configuration', () => {
  const given = (factor: string) =>
    RelayConfig.safeParse({ EVENTSTORE_URL: 'esdb://a:1', KAFKA_BROKERS: 'a:1', KAFKA_REPLICATION_FACTOR: factor })

  it.each(['1', '3', '5'])('takes %s replicas', (factor) => expect(given(factor).success).toBe(true))
  it('refuses two, and says why', () =>
    expect(
      given('2')
        .error?.issues.map(({ message }) => message)
        .join(),
    ).toMatch(/1, or 3/))
})
