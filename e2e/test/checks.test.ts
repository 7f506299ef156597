import { beforeEach, describe, expect, it } from '@jest/globals'
import { encodeConsistencyToken, placeOf, toCloudEvent, topics } from '@annals/contracts'
import { createAftermath, goneCharges, stillGone } from '../faults/aftermath.mjs'
import { checkPaymentGateway } from '../faults/check-payment-gateway.mjs'
import { createChains } from '../faults/chain.mjs'
import { checkLane } from '../faults/check-lane.mjs'
import { checkLog } from '../faults/check-log.mjs'
import { checkAttempts, checkMails, intendedMails } from '../faults/check-mails.mjs'
import { checkReadModels } from '../faults/check-read-models.mjs'
import { checkTopics } from '../faults/check-topics.mjs'
import { Findings } from '../faults/findings.mjs'

/** A small world in which every promise was kept; each test breaks one thing in it and names what has to be found. */
const at = (second: number) => `2026-11-23T10:00:0${second}.000Z`
const ada = 'aaaaaaaa-0000-4000-8000-000000000001'
const session = 'bbbbbbbb-0000-4000-8000-000000000001'
const payment = 'cccccccc-0000-4000-8000-000000000001'
const amount = { minor: 1250, currency: 'EUR' }

const event = (n: number, type: string, stream: string, revision: number, data: object) => ({
  id: `eeeeeeee-0000-5000-8000-00000000000${n}`,
  type,
  stream,
  revision,
  position: BigInt(n * 100),
  data,
  metadata: { occurredAt: at(n), schemaVersion: 1 },
})

function keptWorld() {
  const log = [
    event(1, 'credential.set', 'credential-1', 0, { userId: ada }),
    event(2, 'user.registered', `user-${ada}`, 0, { userId: ada, locale: 'en', roles: ['user'] }),
    event(3, 'user.login', `session-${session}`, 0, { userId: ada, sessionId: session }),
    event(4, 'payment.created', `payment-${payment}`, 0, {
      paymentId: payment,
      userId: ada,
      amount,
      method: { type: 'card' },
    }),
    event(5, 'payment.process_started', `payment-${payment}`, 1, {
      paymentId: payment,
      userId: ada,
      attempt: 1,
      gatewayKey: 'key-1',
    }),
    event(6, 'payment.processed', `payment-${payment}`, 2, {
      paymentId: payment,
      userId: ada,
      attempt: 1,
      amount,
      gatewayReference: 'ch_1',
    }),
  ]
  const acknowledged = [
    ['register', 2, 'user.registered'],
    ['login', 3, 'user.login'],
    ['create', 4, 'payment.created'],
    ['process', 6, 'payment.processed'],
  ].map(([kind, n, type]) => {
    const { stream, position } = log[Number(n) - 1]!
    const token = encodeConsistencyToken({ stream, position })
    return { kind: String(kind), stream, types: [String(type)], once: kind !== 'login', token }
  })
  const offsets = new Map<string, bigint>()
  const records = log.slice(1).map((recorded) => {
    const { topic, partition } = placeOf(recorded.stream)!
    const place = `${topic}/${partition}`
    const offset = offsets.get(place) ?? 0n
    offsets.set(place, offset + 1n)
    return { topic, partition, offset, ...toCloudEvent(recorded) }
  })
  const sent = { people: new Map([[ada, { email: 'ada@example.org', name: 'Ada' }]]), descriptions: new Map() }
  const shared = { payment_id: payment, user_id: ada }
  const acted = (n: number, about: string) => ({
    key: log[n - 1]!.id,
    user_id: ada,
    type: log[n - 1]!.type,
    at: new Date(at(n)),
    about,
  })
  const positions = {
    users: [2],
    user_logins: [3],
    payments: [6],
    payment_history: [6],
    activity: [2, 3, 6],
    audit: [2, 3, 6],
  }
  const entryOf = createChains()
  const snapshot = {
    rows: {
      users: [
        {
          key: ada,
          email: 'ada@example.org',
          name: 'Ada',
          locale: 'en',
          roles: ['user'],
          registered_at: new Date(at(2)),
        },
      ],
      // As PostgreSQL answers: sums are text, so are bigints.
      logins: [{ key: ada, login_count: '1', last_login_at: new Date(at(3)) }],
      payments: [
        {
          key: payment,
          ...shared,
          status: 'completed',
          amount_minor: '1250',
          currency: 'EUR',
          method_type: 'card',
          description: null,
          failure_code: null,
          gateway_reference: 'ch_1',
          attempts: 1,
          created_at: new Date(at(4)),
          updated_at: new Date(at(6)),
          revision: '2',
        },
      ],
      totals: [
        {
          key: '2026-11-23 EUR',
          created_count: '1',
          created_minor: '1250',
          completed_count: '1',
          completed_minor: '1250',
          failed_count: '0',
          failed_minor: '0',
        },
      ],
      history: [4, 5, 6].map((n) => ({
        key: log[n - 1]!.id,
        payment_id: payment,
        type: log[n - 1]!.type,
        revision: String(n - 4),
        at: new Date(at(n)),
      })),
      activity: [acted(2, ada), acted(3, session), acted(4, payment), acted(6, payment)],
      audit: log.slice(1).map((fact) => ({ key: fact.id, ...entryOf(fact) })),
    } as Record<string, Record<string, unknown>[]>,
    checkpoints: Object.entries(positions).flatMap(([model, reached]) =>
      reached.map((n) => {
        const { topic, partition } = placeOf(log[n - 1]!.stream)!
        return { model, place: `${topic}/${partition}`, position: log[n - 1]!.position }
      }),
    ),
    parked: [] as { model: string; stream: string; error: string | null }[],
  }
  const placed = (stream: string) => {
    const { topic, partition } = placeOf(stream)!
    return { place: `${topic}/${partition}`, partition }
  }
  const [registered, loggedIn, , , processed] = log.slice(1) as [Recorded, Recorded, Recorded, Recorded, Recorded]
  const ends = [registered, loggedIn, processed]
  const readFrom: Record<string, (keyof typeof topics)[]> = {
    users: ['annals.users'],
    user_logins: ['annals.sessions'],
    payments: ['annals.payments'],
    payment_totals: ['annals.payments'],
    payment_history: ['annals.payments'],
    activity: ['annals.users', 'annals.sessions', 'annals.payments'],
    audit: ['annals.users', 'annals.sessions', 'annals.challenges', 'annals.payments'],
  }
  const lane = {
    streams: ends.map(({ stream, revision }) => ({ stream, revision, partition: placed(stream).partition })),
    checkpoints: ends.map(({ stream, position, id }) => ({
      place: placed(stream).place,
      position,
      eventId: id as string | null,
    })),
    places: Object.entries(readFrom).flatMap(([model, names]) =>
      names.flatMap((topic) =>
        Array.from({ length: topics[topic].partitions }, (_, partition) => ({
          model,
          place: `${topic}/${partition}`,
          joined: model !== 'audit',
          reason: null as string | null,
        })),
      ),
    ),
    blocked: [] as { model: string; stream: string }[],
  }
  const deliveries = intendedMails(log).map(({ eventId, rule, userId }: Record<string, string>, i: number) => ({
    eventId,
    rule,
    recipient: userId,
    messageId: `<${i}@annals.example>`,
    state: 'accepted',
    attempts: 1,
  }))
  const attempts = deliveries.map(({ messageId }: { messageId: string }) => ({
    messageId,
    number: 1,
    outcome: 'accepted' as string | null,
  }))
  const inbox = deliveries.map(({ messageId }: { messageId: string }) => ({ messageId, to: ['ada@example.org'] }))
  const charges = [
    {
      key: 'key-1',
      request: { amountMinor: amount.minor, currency: amount.currency },
      result: { status: 'succeeded', id: 'ch_1' } as { status: string } | null,
    },
  ]
  const past = new Map<string, string[]>()
  return { log, acknowledged, records, sent, snapshot, lane, deliveries, attempts, inbox, charges, past }
}

type Recorded = ReturnType<typeof event>

let world: ReturnType<typeof keptWorld>
beforeEach(() => {
  world = keptWorld()
})

function found(): string {
  const { log, acknowledged, records, sent, snapshot, lane, deliveries, inbox, charges, past } = world
  const findings = new Findings()
  checkLog(log, acknowledged, findings, past)
  checkTopics(log, records, findings)
  checkReadModels(log, sent, snapshot, findings)
  checkLane(log, lane, findings)
  checkMails(intendedMails(log), deliveries, inbox, sent.people, findings)
  checkPaymentGateway(log, charges, findings, { past })
  return findings.summary()
}

function attemptsFound(): string {
  const findings = new Findings()
  checkAttempts(world.deliveries, world.attempts, world.inbox, findings)
  return findings.summary()
}

it('finds nothing where every promise was kept', () => {
  expect(found()).toBe('')
  expect(attemptsFound()).toBe('')
})

describe('an acknowledged command', () => {
  it('is lost when its stream is not there', () => {
    world.acknowledged[3]!.stream = 'payment-dddddddd-0000-4000-8000-000000000001'
    expect(found()).toBe('1 lost.acknowledged')
  })
  it('is lost when its stream holds another fact', () => {
    world.acknowledged[3]!.types = ['payment.failed']
    expect(found()).toBe('1 lost.acknowledged')
  })
  it('is wrong when its token names no event of the stream', () => {
    world.acknowledged[3]!.token = world.acknowledged[2]!.token.slice(0, -4)
    expect(found()).toBe('1 wrong.acknowledged')
  })
  it('was carried out twice when its fact is there twice', () => {
    const again = { ...world.log[5]!, id: 'eeeeeeee-0000-5000-8000-000000000099', revision: 3, position: 700n }
    world.log.push(again)
    expect(found()).toContain('1 doubled.log')
  })
  it('was carried out twice when a stream exists that no answer named', () => {
    world.acknowledged = world.acknowledged.filter(({ kind }) => kind === 'login')
    expect(found()).toBe('2 doubled.log')
  })
})

describe('the past', () => {
  const stream = `payment-${payment}`
  const types = ['payment.created', 'payment.process_started', 'payment.processed']
  /** The payment was not made by anybody who was answered: it was there before. */
  beforeEach(() => {
    world.acknowledged = world.acknowledged.filter((command) => command.stream !== stream)
    world.charges = []
  })

  it('is as it was', () => {
    world.past.set(stream, types)
    expect(found()).toBe('')
  })
  it.each([
    ['lost what is gone', [...types, 'payment.failed'], '1 lost.past'],
    ['doubled what nobody wrote', types.slice(0, 2), '1 doubled.past'],
    ['says something else', types.with(2, 'payment.failed'), '1 wrong.past'],
  ])('%s', (_, written, finding) => {
    world.past.set(stream, written)
    expect(found()).toBe(finding)
  })
})

describe('the log', () => {
  it('has a hole when a revision is missing', () => {
    world.log.splice(4, 1)
    expect(found()).toContain('1 lost.log')
  })
  it('holds an event id once', () => {
    world.log[5]!.id = world.log[4]!.id
    expect(found()).toContain('1 doubled.log')
  })
  it('is read in the order of its positions', () => {
    world.log[5]!.position = 450n
    expect(found()).toContain('1 reordered.log')
  })
})

describe('the topics', () => {
  const ofPayment = () => world.records.filter(({ key }) => key === `payment-${payment}`)
  it('lost a record', () => {
    world.records = world.records.filter((record) => record !== ofPayment()[1])
    expect(found()).toBe('1 lost.topics')
  })
  it('hold a record twice', () => {
    world.records.push({ ...ofPayment()[0]!, offset: 9n })
    expect(found()).toBe('1 doubled.topics')
  })
  it('hold two records in the wrong order', () => {
    const [first, second] = [world.records.indexOf(ofPayment()[0]!), world.records.indexOf(ofPayment()[1]!)]
    ;[world.records[first], world.records[second]] = [world.records[second]!, world.records[first]!]
    expect(found()).toBe('1 reordered.topics')
  })
  it('hold a record that the log does not know', () => {
    const [record] = ofPayment()
    world.records.push({ ...record!, headers: { ...record!.headers, ce_id: 'another' } })
    expect(found()).toBe('1 wrong.topics')
  })
  it.each([
    ['data', { value: '{}' }],
    ['partition', { partition: 99 }],
    ['key', { key: 'payment-other' }],
  ])('hold a record with another %s than the log', (_, change) => {
    Object.assign(ofPayment()[0]!, change)
    expect(found()).toBe('1 wrong.topics')
  })
  it('hold a record with other metadata than the log', () => {
    ofPayment()[0]!.headers['ce_metadata'] = '{}'
    expect(found()).toBe('1 wrong.topics')
  })
  it('never hold what is not published', () => {
    const recorded = world.log[0]!
    world.records.push({ topic: 'annals.users', partition: 0, offset: 9n, ...toCloudEvent(recorded) })
    expect(found()).toBe('1 wrong.topics')
  })
})

describe('a read model', () => {
  it.each(['users', 'logins', 'payments', 'totals', 'history', 'activity', 'audit'])('%s lost a row', (model) => {
    world.snapshot.rows[model]!.pop()
    expect(found()).toBe('1 lost.read-models')
  })
  it.each(['users', 'payments', 'activity', 'audit'])('%s has a row twice', (model) => {
    world.snapshot.rows[model]!.push({ ...world.snapshot.rows[model]![0]! })
    expect(found()).toBe('1 doubled.read-models')
  })
  it.each([
    ['logins', 'login_count', '2', 'doubled'],
    ['logins', 'login_count', '0', 'lost'],
    ['totals', 'completed_count', '2', 'doubled'],
    ['totals', 'completed_minor', '0', 'lost'],
    ['payments', 'status', 'processing', 'wrong'],
    ['audit', 'hash', 'f'.repeat(64), 'wrong'],
    ['audit', 'previous_hash', 'f'.repeat(64), 'wrong'],
    ['audit', 'sequence', '2', 'wrong'],
    ['payments', 'revision', '1', 'wrong'],
    ['users', 'email', 'eve@example.org', 'wrong'],
    ['users', 'roles', ['user', 'admin'], 'wrong'],
  ])('%s says %s = %s: %s', (model, column, value, kind) => {
    world.snapshot.rows[model]![0]![column] = value
    expect(found()).toBe(`1 ${kind}.read-models`)
  })
  it('has a row for which there is no fact', () => {
    world.snapshot.rows['payments']!.push({ key: 'another' })
    expect(found()).toBe('1 wrong.read-models')
  })
  it('stands before the end of a partition', () => {
    world.snapshot.checkpoints[0]!.position -= 1n
    expect(found()).toBe('1 lost.positions')
  })
  it('stands behind the end of a partition', () => {
    world.snapshot.checkpoints[0]!.position += 1n
    expect(found()).toBe('1 wrong.positions')
  })
  it('parked an event', () => {
    world.snapshot.parked.push({ model: 'payments', stream: `payment-${payment}`, error: 'unfit' })
    expect(found()).toBe('1 lost.read-models')
  })
})

describe('the lane', () => {
  it.each([
    [-1, 'lost'],
    [1, 'wrong'],
  ])('has a stream %i revisions from where the log has it', (by, kind) => {
    world.lane.streams[2]!.revision += by
    expect(found()).toBe(`1 ${kind}.streams`)
  })
  it('does not know a stream', () => {
    world.lane.streams.pop()
    expect(found()).toBe('1 lost.streams')
  })
  it('knows a stream that the log does not', () => {
    world.lane.streams.push({ stream: `user-${payment}`, revision: 0, partition: 0 })
    expect(found()).toBe('1 wrong.streams')
  })
  it('keeps a stream under a partition that it is not in', () => {
    world.lane.streams[0]!.partition += 1
    expect(found()).toBe('1 wrong.streams')
  })
  it('has a stream that stands still', () => {
    world.lane.blocked.push({ model: 'payments', stream: `payment-${payment}` })
    expect(found()).toBe('1 lost.streams')
  })
  it.each([
    [-1n, 'lost'],
    [1n, 'wrong'],
  ])('stands %i positions from the end of a partition', (by, kind) => {
    world.lane.checkpoints[0]!.position += by
    expect(found()).toBe(`1 ${kind}.positions`)
  })
  it('says that another event stands at the end of a partition', () => {
    world.lane.checkpoints[0]!.eventId = null
    expect(found()).toBe('1 wrong.positions')
  })
  it('has no checkpoint of a partition', () => {
    world.lane.checkpoints.pop()
    expect(found()).toBe('1 lost.positions')
  })
  it('lacks a read model', () => {
    Object.assign(world.lane.places[0]!, { joined: false, reason: 'its table is gone' })
    expect(found()).toBe('1 lost.places')
  })
  it('has a chain in it', () => {
    Object.assign(world.lane.places.at(-1)!, { joined: true })
    expect(found()).toBe('1 wrong.places')
  })
  it('has no place for a read model', () => {
    world.lane.places.pop()
    expect(found()).toBe('1 lost.places')
  })
  it('has a place where nothing is read', () => {
    world.lane.places.push({ model: 'users', place: 'annals.payments/0', joined: true, reason: null })
    expect(found()).toBe('1 wrong.places')
  })
})

describe('an intended mail', () => {
  const mailsFound = () => {
    const findings = new Findings()
    checkMails(intendedMails(world.log), world.deliveries, world.inbox, world.sent.people, findings)
    return findings.summary()
  }

  it('was never recorded', () => {
    world.deliveries.pop()
    world.inbox.pop()
    expect(found()).toBe('1 lost.mails')
  })
  it('was recorded twice', () => {
    world.deliveries.push({ ...world.deliveries[0]!, messageId: '<2@annals.example>' })
    world.inbox.push({ ...world.inbox[0]!, messageId: '<2@annals.example>' })
    expect(found()).toBe('1 doubled.mails')
  })
  it('shares its Message-ID with another', () => {
    world.deliveries[1]!.messageId = world.deliveries[0]!.messageId
    world.inbox.pop()
    expect(found()).toBe('1 doubled.mails')
  })
  it('is not accepted by a mail server yet', () => {
    world.deliveries[0]!.state = 'pending'
    expect(found()).toBe('1 lost.deliveries')
  })
  it('never arrived', () => {
    world.inbox.pop()
    expect(found()).toBe('1 lost.inbox')
  })
  it('is held back when its fact is long past', () => {
    world.log[1]!.metadata.occurredAt = '2026-11-19T10:00:00.000Z'
    world.deliveries[0]!.state = 'skipped'
    world.inbox.shift()
    expect(mailsFound()).toBe('')
  })
  it('must not be sent when its fact is long past', () => {
    world.log[1]!.metadata.occurredAt = '2026-11-19T10:00:00.000Z'
    expect(mailsFound()).toBe('1 wrong.deliveries, 1 wrong.inbox')
  })
  it('may arrive more than once under its one Message-ID', () => {
    world.inbox.push({ ...world.inbox[0]! })
    expect(found()).toBe('')
  })
  it('arrived at somebody else', () => {
    world.inbox[0]!.to = ['eve@example.org']
    expect(found()).toBe('1 wrong.inbox')
  })
  it('arrived without ever being recorded', () => {
    world.inbox.push({ messageId: '<unknown@annals.example>', to: ['ada@example.org'] })
    expect(found()).toBe('1 doubled.inbox')
  })
  it('was recorded for a fact that is not in the log', () => {
    world.deliveries[0]!.eventId = 'eeeeeeee-0000-5000-8000-000000000099'
    expect(found()).toContain('1 wrong.mails')
  })
})

describe('an attempt', () => {
  const again = (outcome: string | null) => {
    world.deliveries[0]!.attempts = 2
    world.attempts.unshift({ ...world.attempts[0]!, outcome })
    world.attempts[1]!.number = 2
  }

  it('is missing for a mail that was accepted', () => {
    world.attempts.shift()
    expect(attemptsFound()).toBe('2 lost.attempts, 1 doubled.attempts')
  })
  it('is numbered without a hole', () => {
    world.attempts[0]!.number = 2
    expect(attemptsFound()).toBe('1 lost.attempts')
  })
  it('is counted by its delivery', () => {
    world.deliveries[0]!.attempts = 2
    expect(attemptsFound()).toBe('1 lost.attempts')
  })
  it('was accepted, and its delivery does not say so', () => {
    world.deliveries[0]!.state = 'unknown'
    expect(attemptsFound()).toBe('1 wrong.attempts')
  })
  it('has an outcome once its delivery has ended', () => {
    again(null)
    expect(attemptsFound()).toBe('1 wrong.attempts')
  })
  it('was accepted, and brought nothing', () => {
    world.inbox.shift()
    expect(attemptsFound()).toBe('1 lost.attempts')
  })
  it('that ended unknown explains a second copy', () => {
    again('unknown')
    world.inbox.push({ ...world.inbox[0]! })
    expect(attemptsFound()).toBe('')
  })
  it('that ended unknown need not have brought one', () => {
    again('unknown')
    expect(attemptsFound()).toBe('')
  })
  it.each(['transient', 'rejected'])('that ended %s explains no second copy', (outcome) => {
    again(outcome)
    world.inbox.push({ ...world.inbox[0]! })
    expect(attemptsFound()).toBe('1 doubled.attempts')
  })
  it('is missing for a second copy', () => {
    world.inbox.push({ ...world.inbox[0]! })
    expect(attemptsFound()).toBe('1 doubled.attempts')
  })
  it('need not be known for a copy that came before the deliveries were restored', () => {
    world.inbox.push({ ...world.inbox[0]! })
    const findings = new Findings()
    const restored = createAftermath()
    restored.forgotten.set(world.inbox[0]!.messageId, 1)
    checkAttempts(world.deliveries, world.attempts, world.inbox, findings, restored)
    expect(findings.summary()).toBe('')
  })
})

describe('a charge', () => {
  it('is missing for a completed payment', () => {
    world.charges.pop()
    expect(found()).toBe('1 lost.payment-gateway')
  })
  it.each([null, { status: 'declined', reason: 'card_declined' }])('did not happen: %j', (result) => {
    world.charges[0]!.result = result
    expect(found()).toBe('1 lost.payment-gateway')
  })
  it('may have been asked for in vain before', () => {
    world.charges.unshift({ ...world.charges[0]!, result: null })
    expect(found()).toBe('')
  })
  it('happened twice under one key', () => {
    world.charges.push({ ...world.charges[0]! })
    expect(found()).toBe('1 doubled.payment-gateway')
  })
  it('happened twice under two keys of one payment', () => {
    const second = { ...world.log[4]!, data: { ...world.log[4]!.data, gatewayKey: 'key-2' } }
    const findings = new Findings()
    const charges = [...world.charges, { ...world.charges[0]!, key: 'key-2' }]
    checkPaymentGateway([...world.log.slice(0, 5), second, world.log[5]!], charges, findings)
    expect(findings.summary()).toBe('1 doubled.payment-gateway')
  })
  it.each([{ amountMinor: 1251 }, { currency: 'USD' }])('has another amount than its payment: %j', (change) => {
    Object.assign(world.charges[0]!.request, change)
    expect(found()).toBe('1 wrong.payment-gateway')
  })
  it('has another reference than its payment', () => {
    world.charges[0]!.result = { status: 'succeeded', id: 'ch_2' } as { status: string }
    expect(found()).toBe('1 wrong.payment-gateway')
  })
  it('has no payment', () => {
    world.charges.push({ ...world.charges[0]!, key: 'key-2' })
    expect(found()).toBe('1 wrong.payment-gateway')
  })
  it('may be left from a fact that a restored log has no more', () => {
    const findings = new Findings()
    const restored = createAftermath()
    const fact = { ...world.log[4]!, id: 'gone', data: { ...world.log[4]!.data, gatewayKey: 'key-2' } }
    restored.gone.set(fact.id, fact)
    const charges = [...world.charges, { ...world.charges[0]!, key: 'key-2' }]
    checkPaymentGateway(world.log, charges, findings, { gone: goneCharges(stillGone(restored, world.log)) })
    expect(findings.summary()).toBe('')
  })
  it('was made for a payment that was declined', () => {
    const findings = new Findings()
    const declined = { ...world.log[5]!, type: 'payment.failed' }
    checkPaymentGateway([...world.log.slice(0, 5), declined], world.charges, findings)
    expect(findings.summary()).toBe('1 wrong.payment-gateway')
  })
  it.each(['payment.process_started', 'payment.outcome_unknown'])('may be there after %s', (type) => {
    const findings = new Findings()
    checkPaymentGateway([...world.log.slice(0, 5), { ...world.log[4]!, type }], world.charges, findings)
    expect(findings.summary()).toBe('')
  })
  it('is nobody’s business here for payments of the past', () => {
    const findings = new Findings()
    checkPaymentGateway(world.log, [], findings, { past: new Map([[`payment-${payment}`, []]]) })
    expect(findings.summary()).toBe('')
  })
})
