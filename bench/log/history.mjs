import { createRandom } from './random.mjs'

/**
 * What a year-old system's log looks like, small: people register, log in, pay; what belongs to one stream lies apart in
 * the log, as it does when hundreds of people act at once.
 */

/** Shares of all events. A user's registration is three events on three streams, of which one is published. */
const shares = { payment: 0.6, session: 0.35, user: 0.05 }

/** Events of other streams between a step of a payment or a session and its next one: this many, and up to twice that. */
const gap = { payment: 100, session: 400 }

/** Payments that are processed at once, so that their three events stand side by side. */
const promptShare = 0.5
const failureShare = 0.1
/** Payments that carry a description, and so a part that is sealed. */
const descriptionShare = 0.5

/** The simulated clock: all happens in 30 days that end here, unless told otherwise. Fixed, so that runs can be compared. */
const endsAtDefault = Date.parse('2026-11-01T00:00:00.000Z')
const spanMs = 30 * 24 * 3600 * 1000

const currencies = ['EUR', 'EUR', 'EUR', 'USD', 'USD', 'GBP', 'JPY', 'CHF']
const failureCodes = ['card-declined', 'insufficient-funds', 'card-expired', 'gateway-refused']
const descriptions = ['Two tickets, row 7', 'Monthly subscription', 'Order 48213', 'Gift card for Ada', 'Late fee']
const agents = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari',
]

/**
 * @typedef {object} Write one append: `events` as `encodeEvent` takes them, in stream order
 * @property {string} stream
 * @property {number} revision of the first event
 * @property {{ type: string, data: Record<string, unknown> }[]} events
 * @property {string} actor the user's id
 * @property {string} at ISO 8601
 */

/**
 * @typedef {object} Extent
 * @property {number} events exactly so many
 * @property {number} [seed]
 * @property {number} [endsAt] epoch ms
 */

/**
 * Yields appends in log order until exactly `events` events were written. The same extent yields the same.
 *
 * @param {Extent} extent
 * @returns {Generator<Write>}
 */
export function* history({ events, seed = 1, endsAt = endsAtDefault }) {
  const random = createRandom(seed)
  const users = []
  /** Next steps, by the number of events after which they come; buckets keep the order and cost nothing. */
  const due = new Map()
  const written = { payment: 0, session: 0, user: 0 }
  let count = 0
  let done = 0

  const later = (kind, step) => {
    const at = count + gap[kind] + random.below(gap[kind])
    if (!due.has(at)) due.set(at, [])
    due.get(at).push(step)
  }
  const starts = { user: register, session: login, payment: createPayment }

  while (count < events) {
    // Steps that have come due since the last append; what is started below comes due after them.
    const steps = []
    for (; done <= count; done++) {
      steps.push(...(due.get(done) ?? []))
      due.delete(done)
    }
    if (steps.length === 0) steps.push(starts[rarest(written, users.length > 0)])
    for (const step of steps) {
      for (const { kind, write } of step(random, users, later, endsAt)) {
        if (count >= events) return
        const at = new Date(endsAt - spanMs + Math.floor((count / events) * spanMs)).toISOString()
        const fitting = write.events.slice(0, events - count)
        count += fitting.length
        written[kind] += fitting.length
        yield { ...write, events: fitting, at }
      }
    }
  }
}

/** The kind that is furthest behind its share. */
function rarest(written, anyUsers) {
  if (!anyUsers) return 'user'
  const kinds = Object.keys(shares)
  return kinds.reduce((a, b) => (written[a] / shares[a] <= written[b] / shares[b] ? a : b))
}

function register(random, users) {
  const userId = random.uuid()
  const credentialId = random.uuid()
  const email = `${random.hex(1)}.${random.hex(1)}@example.com`
  users.push(userId)
  const write = (stream, type, data) => ({
    kind: 'user',
    write: { stream, revision: 0, actor: userId, events: [{ type, data: { userId, ...data } }] },
  })
  return [
    write(`email-${random.hex(8)}`, 'email.reserved', {}),
    write(`credential-${credentialId}`, 'credential.set', {
      credentialId,
      passwordHash: `$2b$12$${random.hex(7).slice(0, 53)}`,
    }),
    write(`user-${userId}`, 'user.registered', {
      email,
      name: `Person ${random.hex(1)}`,
      locale: random.pick(['en', 'de', 'fr']),
      roles: ['user'],
      credentialId,
      emailProved: false,
    }),
  ]
}

function login(random, users, later, endsAt) {
  const userId = random.pick(users)
  const sessionId = random.uuid()
  const stream = `session-${sessionId}`
  const one = (revision, ...events) => [
    {
      kind: 'session',
      write: {
        stream,
        revision,
        actor: userId,
        events: events.map(({ type, data }) => ({ type, data: { sessionId, userId, ...data } })),
      },
    },
  ]
  const refreshed = (generation) => ({ type: 'session.refreshed', data: { generation, authenticatedAt: null } })
  const ended = { type: 'session.ended', data: { reason: 'logout' } }
  later('session', () => one(1, refreshed(2), refreshed(3), refreshed(4), ended))
  const ip = `192.0.2.${random.below(256)}`
  const expiresAt = new Date(endsAt + spanMs).toISOString()
  const data = { methods: ['password'], epoch: 1, ip, userAgent: random.pick(agents), expiresAt }
  return one(0, { type: 'user.login', data })
}

function createPayment(random, users, later) {
  const userId = random.pick(users)
  const paymentId = random.uuid()
  const amount = { minor: 100 + random.below(50_000), currency: random.pick(currencies) }
  const one = (revision, ...events) => [
    {
      kind: 'payment',
      write: {
        stream: `payment-${paymentId}`,
        revision,
        actor: userId,
        events: events.map(({ type, data }) => ({ type, data: { paymentId, userId, ...data } })),
      },
    },
  ]
  const description = random.fraction() < descriptionShare ? random.pick(descriptions) : null
  const created = {
    type: 'payment.created',
    data: { amount, method: { type: 'card', token: 'tok_visa' }, description },
  }
  const started = { type: 'payment.process_started', data: { attempt: 1, gatewayKey: random.uuid() } }
  const outcome =
    random.fraction() < failureShare
      ? { type: 'payment.failed', data: { attempt: 1, amount, code: random.pick(failureCodes) } }
      : { type: 'payment.processed', data: { attempt: 1, amount, gatewayReference: `ch_${random.hex(3)}` } }
  if (random.fraction() < promptShare) return one(0, created, started, outcome)
  later('payment', () => one(1, started, outcome))
  return one(0, created)
}
