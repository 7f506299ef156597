import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { decodeConsistencyToken } from '@annals/contracts'
import { createClient, Refused } from './client.mjs'
import { pick } from './random.mjs'

/** Clients at the same time: enough to have something under way at every kill, few enough for two cores. */
const clientsMax = 12
/** Payments of one person. */
const paymentsEach = 4
/** One command in so many is sent a second time after its answer: the repeat must be answered the same. */
const repeatOneIn = 20
/** After one payment in so many its client reads it back with the consistency token. */
const readBackOneIn = 3
/** A read model may be behind for as long as Kafka is away again and again; it catches up when the last kill is over. */
const readMsMax = 15 * 60_000
/** Readers that wait at the same time, at most: each asks for two seconds and comes again. */
const readsOpenMax = 40
/** People whose work is done and who are remembered, newest last: their sessions are young. */
const finishedMax = 32
/** One person in so many logs in again and out; that token must not be accepted any more. */
const logoutOneIn = 4

/** While nobody may begin a command, this often it is asked whether one may again. */
const heldLookMs = 50

/** What this person did may be in no log any more: the log was put back while they were at it. */
class LogSetBack extends Error {
  name = 'LogSetBack'
}

/** Of everybody. */
export const password = 'correct horse battery staple'
const settled = ['payment.processed', 'payment.failed']
const tokens = ['tok_visa', 'tok_visa', 'tok_visa', 'tok_declined', 'tok_insufficient_funds']
const currencies = ['EUR', 'USD', 'JPY', 'KWD']

/**
 * People who register, log in, create and process payments, and remember every answer: what the system acknowledged is what it
 * is later held to.
 *
 * @param {{ urls: Record<string, string>, commands?: number, past?: import('./past.mjs').Past, random: () => number,
 *   signal: AbortSignal, insistMsMax?: number }} options `commands`: how many are to be acknowledged; the last person finishes, so it may become a few
 *   more; default: until `finish` is called. `past`: what was there before
 */
export function createLoad({ urls, commands = Number.POSITIVE_INFINITY, past, random, signal, insistMsMax }) {
  const client = createClient({ signal, insistMsMax })
  const api = `${urls.command}/api/v1`
  /** @type {import('./check-log.mjs').Acknowledged[]} */
  const acknowledged = []
  const people = new Map(past?.people)
  const descriptions = new Map(past?.descriptions)
  const finished = []
  /** The log was put back so often; each person lives in one of these times, and ends with it. */
  let era = 0
  let eraEnds = new AbortController()
  const bornIn = new AsyncLocalStorage()
  const lost = { commands: 0, people: 0 }
  const readersLeave = new AbortController()
  const gate = { held: false }
  let underWay = 0
  /** Answers that contradict what was acknowledged, in words. */
  const contradictions = []
  const reads = { done: 0, open: new Set() }
  /** When each command and each read was first asked and when it was answered, in epoch ms; a read: since its write's answer. */
  const timeline = { commands: [], reads: [] }
  /** Access tokens of those who have logged out, and when that was answered, in epoch ms. */
  const loggedOut = []
  const pace = { intervalMs: 0, nextAt: 0 }
  const run = randomUUID().slice(0, 8)
  let started = 0
  let done = false
  let enough = false
  const wanted = () => !enough && acknowledged.length < commands
  /** Whether the log was put back since this person came. */
  const isOver = () => (bornIn.getStore() ?? era) !== era

  /** Waits for this command's turn; turns missed in an outage are not made up for. */
  async function turn() {
    const now = Date.now()
    pace.nextAt = Math.max(now, pace.nextAt + pace.intervalMs)
    if (pace.nextAt > now) await delay(pace.nextAt - now, undefined, { signal })
    while (gate.held) await delay(heldLookMs, undefined, { signal })
  }

  /** Sends a command until it is answered, and remembers the answer. */
  async function command(kind, path, options, factOf) {
    await turn()
    if (isOver()) throw new LogSetBack()
    underWay += 1
    try {
      return await send(kind, path, options, factOf)
    } finally {
      underWay -= 1
    }
  }

  async function send(kind, path, options, factOf) {
    const askedAt = Date.now()
    const { body } = await client.insist(kind, `${api}${path}`, { method: 'POST', ...options })
    const answeredAt = Date.now()
    timeline.commands.push({ askedAt, answeredAt })
    acknowledged.push({ kind, token: body?.consistencyToken, answeredAt, ...factOf(body) })
    if (isOver()) throw new LogSetBack()
    if (options.headers && !isUndecided(body) && random() < 1 / repeatOneIn) {
      const repeat = await client.insist(`${kind} (repeat)`, `${api}${path}`, { method: 'POST', ...options })
      if (isOver()) throw new LogSetBack()
      if (!isDeepStrictEqual(comparable(repeat.body), comparable(body)))
        contradictions.push(`${kind} was answered ${JSON.stringify(body)}, its repeat ${JSON.stringify(repeat.body)}`)
    }
    return body
  }
  const keyed = () => ({ 'idempotency-key': randomUUID() })

  async function register(name) {
    const email = `${name}.${run}@example.org`
    const body = { email, password, name: `Person ${name}` }
    const { userId, consistencyToken } = await command(
      'register',
      '/auth/register',
      { body, headers: keyed() },
      ({ userId }) => {
        people.set(userId, { email, name: body.name })
        return { stream: `user-${userId}`, types: ['user.registered'], once: true }
      },
    )
    return { userId, email, registered: consistencyToken }
  }

  const sessionFact = (type) => (body) => ({ stream: `session-${body.sessionId}`, types: [type], once: false })

  const login = (email) => command('login', '/auth/login', { body: { email, password } }, sessionFact('user.login'))

  /** A refresh whose answer was lost can not be repeated: the old token is spent, and showing it again ends the session. */
  async function refresh({ refreshToken }) {
    try {
      await command('refresh', '/auth/refresh', { body: { refreshToken } }, sessionFact('session.refreshed'))
    } catch (error) {
      if (!(error instanceof Refused && error.doubt && error.code === 'session-ended')) throw error
    }
  }

  /** Shown again, a token whose logout was not answered is refused: the session has ended all the same. */
  async function logout({ accessToken: token, sessionId }) {
    const fact = { stream: `session-${sessionId}`, types: ['session.ended'], once: true, tokenless: true }
    try {
      await command('logout', '/auth/logout', { token }, () => fact)
    } catch (error) {
      if (!(error instanceof Refused && error.doubt && error.code === 'session-ended')) throw error
    }
    loggedOut.push({ token, at: Date.now() })
  }

  async function pay({ accessToken: token }, number) {
    const currency = pick(currencies, random)
    const amount = String(1 + Math.floor(random() * 500))
    const description = random() < 0.5 ? `Order ${run}-${number}` : null
    const body = {
      amount,
      currency,
      method: { type: 'card', token: pick(tokens, random) },
      ...(description ? { description } : {}),
    }
    const { paymentId } = await command('create', '/payments', { body, headers: keyed(), token }, ({ paymentId }) => {
      descriptions.set(paymentId, description)
      return { stream: `payment-${paymentId}`, types: ['payment.created'], once: true }
    })
    const { status, consistencyToken } = await process(paymentId, token)
    if (random() < 1 / readBackOneIn && reads.open.size < readsOpenMax) {
      // Beside the commands: a read model that is behind keeps its readers waiting, and nobody else.
      const read = readBack(paymentId, { status, consistencyToken }, token)
        .catch(
          (error) => signal.aborted || isOver() || readersLeave.signal.aborted || contradictions.push(error.message),
        )
        .finally(() => reads.open.delete(read))
      reads.open.add(read)
    }
    return { paymentId, status, consistencyToken }
  }

  /** Until the payment gateway's word is known. */
  async function process(paymentId, token) {
    const fact = { stream: `payment-${paymentId}`, types: settled, once: true }
    for (;;) {
      let undecided = false
      const answer = await command(
        'process',
        `/payments/${paymentId}/process`,
        { headers: keyed(), token },
        ({ status }) => {
          undecided = isUndecided({ status })
          return undecided ? { ...fact, types: ['payment.process_started'], once: false } : fact
        },
      )
      if (!undecided) return answer
    }
  }

  /** Read your own writes: what was acknowledged is what a query with its token sees. */
  async function readBack(paymentId, { status, consistencyToken }, token) {
    const url = `${urls.query}/api/v1/payments/${paymentId}`
    const headers = { 'consistency-token': consistencyToken }
    const askedAt = Date.now()
    const { body } = await client.insist(
      'read back',
      url,
      { token, headers, signal: AbortSignal.any([eraEnds.signal, readersLeave.signal]) },
      readMsMax,
    )
    timeline.reads.push({ askedAt, answeredAt: Date.now() })
    reads.done += 1
    if (body.status !== status)
      contradictions.push(`payment ${paymentId} was acknowledged ${status}, and read back as ${body.status}`)
  }

  /** One after the other. Who was at it when the log was put back has to be refused sooner or later, and is gone. */
  async function worker() {
    while (wanted()) {
      const born = era
      try {
        await bornIn.run(born, () => person(++started))
      } catch (error) {
        if (signal.aborted || born === era) throw error
        lost.people += 1
      }
    }
  }

  async function person(number) {
    const { email, registered } = await register(`p${number}`)
    const session = await login(email)
    const payments = []
    for (let payment = 0; payment < paymentsEach && wanted(); payment++)
      payments.push(await pay(session, `${number}-${payment}`))
    if (payments.length > 0) finished.push({ email, registered, session, payments })
    if (finished.length > finishedMax) finished.shift()
    if (random() < 0.3) await refresh(session)
    // A session of its own: readers with the first one's token may still wait.
    if (random() < 1 / logoutOneIn) await logout(await login(email))
  }

  return {
    commands,
    acknowledged,
    people,
    descriptions,
    contradictions,
    past,
    finished,
    register,
    reads,
    timeline,
    loggedOut,
    counts: client.counts,
    /** The least time from one command's start to the next one's. @param {number} ms */
    setInterval: (ms) => {
      pace.intervalMs = ms
    },
    /** Commands of which no log knows any more, and people who were at it then. */
    lost,
    /** Commands that were sent and not answered yet, and reads. */
    get underWay() {
      return underWay + reads.open.size
    },
    /** From now on nobody begins a command; those under way go on. */
    hold() {
      gate.held = true
    },
    release() {
      gate.held = false
    },
    /** Readers that still wait go home, and nobody holds it against anybody. */
    giveUpReads() {
      readersLeave.abort()
    },
    /**
     * The log was put back to an older copy: what it acknowledged since is gone by definition, and is set aside.
     *
     * @param {{ position: bigint, takenAt: number }} copy the copy's last position, and when it was taken, in epoch ms
     */
    logSetBack({ position, takenAt }) {
      const isThere = ({ tokenless, token, answeredAt }) =>
        tokenless ? answeredAt <= takenAt : decodeConsistencyToken(token).position <= position
      const there = acknowledged.filter(isThere)
      lost.commands += acknowledged.length - there.length
      acknowledged.splice(0, acknowledged.length, ...there)
      loggedOut.splice(0, loggedOut.length, ...loggedOut.filter(({ at }) => at <= takenAt))
      era += 1
      eraEnds.abort(new LogSetBack())
      eraEnds = new AbortController()
    },
    get left() {
      return Math.max(0, commands - acknowledged.length)
    },
    get done() {
      return done
    },
    /** It was enough: everybody finishes what they are at. */
    finish() {
      enough = true
    },
    /** Resolves when enough commands were acknowledged. @throws when one was refused, or never answered */
    async run() {
      await Promise.all(Array.from({ length: clientsMax }, worker))
      await Promise.all(reads.open)
      done = true
    },
  }
}

/** The payment gateway has not spoken yet: the repeat asks it anew, and may be answered otherwise. */
const isUndecided = (body) => body?.status === 'unknown' || body?.status === 'processing'

/** A repeat's token may name a later change of the same stream; everything else is the same. */
const comparable = (body) => ({ ...body, consistencyToken: undefined })
