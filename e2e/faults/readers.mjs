import { setTimeout as delay } from 'node:timers/promises'
import { exchange } from '../http.mjs'
import { runProgram } from '../processes.mjs'
import { password } from './load.mjs'
import { pick } from './random.mjs'

/** Readers at the same time; each waits for its answer before it asks again. */
const readersMax = 8
/** Together they ask about this often: every read model many times in each rebuild, and little work for two cores. */
const readsPerSecond = 30
/** An access token lives for 15 minutes. */
const renewMs = 8 * 60_000
/** Failed reads that are told in words. */
const examplesMax = 10
/** How often a reader comes again who is told that the read model is behind: each try waits two seconds, the pause is another. */
const behindMax = 5
const behindPauseMs = 1_000

/**
 * Readers who ask for every read model through the query API all the time, and know what has to be answered. A read fails when it
 * is not answered with 200, when it shows less than its consistency token or an earlier answer, or anything that never was. Being
 * told that the read model has not come as far as the token yet is no failure if it has when the reader comes again; it is counted.
 *
 * @param {object} options
 * @param {Record<string, string>} options.env
 * @param {Record<string, string>} options.urls
 * @param {(text: string) => void} options.say
 * @param {import('./past.mjs').Past} options.past
 * @param {ReturnType<import('./load.mjs').createLoad>} options.load
 * @param {() => number} options.random
 * @param {AbortSignal} options.signal
 */
export function createReaders({ env, urls, say, past, load, random, signal }) {
  const counts = { reads: 0, behind: 0, failed: 0, byRoute: {}, failures: [], slowestMs: 0 }
  const ids = { payments: [...past.models.payments.keys()], users: [...past.models.users.keys()] }
  const pastDays = daysOf(past.models.totals)
  const admin = { email: '', token: '' }
  /** What was seen last: no later read may show less. */
  const seen = { created: 0, position: -1n }
  const state = { stopped: false }

  async function get(path, { token = admin.token, after } = {}) {
    const headers = after ? { 'consistency-token': after } : {}
    for (let tries = 1; ; tries++) {
      const { status, body } = await exchange(`${urls.query}/api/v1${path}`, { token, headers })
      if (status === 200) return body
      if (body?.code !== 'read-model-behind' || tries === behindMax)
        throw new Error(`answered ${status} ${JSON.stringify(body)}`)
      counts.behind += 1
      await delay(behindPauseMs, undefined, { signal })
    }
  }

  /** Reads of what people have just done, with the token of the command that did it. */
  const fresh = {
    payments: async ({ session, payments }) => {
      const { paymentId, status, consistencyToken } = pick(payments, random)
      const path = `/payments/${paymentId}`
      same('status', (await get(path, { token: session.accessToken, after: consistencyToken })).status, status)
    },
    'payments list': async ({ session, payments }) => {
      const { paymentId, status, consistencyToken } = payments.at(-1)
      const { items } = await get('/payments', { token: session.accessToken, after: consistencyToken })
      same('status in the list', items.find((each) => each.paymentId === paymentId)?.status, status)
    },
    payment_history: async ({ session, payments }) => {
      const { paymentId, status, consistencyToken } = pick(payments, random)
      const path = `/payments/${paymentId}/events`
      const { items } = await get(path, { token: session.accessToken, after: consistencyToken })
      same('last event', items.at(-1).type, status === 'completed' ? 'payment.processed' : 'payment.failed')
      same('revisions', items.map(({ revision }) => revision).join(), items.map((_, i) => i).join())
    },
    users: async ({ email, session, registered }) => {
      same('e-mail', (await get('/users/me', { token: session.accessToken, after: registered })).email, email)
    },
    user_logins: async ({ session, registered }) => {
      // The account first: a token speaks of one stream.
      await get('/users/me', { token: session.accessToken, after: registered })
      const body = await get('/users/me', { token: session.accessToken, after: session.consistencyToken })
      // Some people log in once more, only to log out.
      if (body.loginCount < 1 || body.loginCount > 2) throw new Error(`shows ${body.loginCount} logins`)
    },
    activity: async ({ session, payments }) => {
      const { paymentId, consistencyToken } = payments.at(-1)
      const { items } = await get('/users/me/activity', { token: session.accessToken, after: consistencyToken })
      same(
        'own activity',
        items.filter(({ type, about }) => type === 'payment.created' && about === paymentId).length,
        1,
      )
    },
    'totals now': async ({ payments }) => {
      const before = { ...seen }
      const day = new Date().toISOString().slice(0, 10)
      const yesterday = new Date(Date.now() - 24 * 3600 * 1000).toISOString().slice(0, 10)
      const after = payments.at(-1).consistencyToken
      const { items, freshness } = await get(`/stats/payments?from=${yesterday}&to=${day}`, { after })
      const created = items.reduce((sum, { createdCount }) => sum + createdCount, 0)
      if (created < before.created) throw new Error(`shows ${created} payments, ${before.created} were seen before`)
      const position = BigInt(freshness.position)
      if (position < before.position) throw new Error(`stands at ${position}, ${before.position} was seen before`)
      seen.created = Math.max(seen.created, created)
      seen.position = position > seen.position ? position : seen.position
    },
  }

  /** Reads of the past, which nothing changes any more: each answer has to be the one that the log gives. */
  const old = {
    payments: async () => {
      const paymentId = pick(ids.payments, random)
      const { status, revision, user_id, description } = past.models.payments.get(paymentId)
      const body = await get(`/payments/${paymentId}`)
      const wanted = [status, revision, user_id, description].join(' ')
      same('payment', [body.status, body.revision, body.userId, body.description].join(' '), wanted)
    },
    payment_history: async () => {
      const paymentId = pick(ids.payments, random)
      const { items } = await get(`/payments/${paymentId}/events`)
      same('events', items.map(({ type }) => type).join(), past.streams.get(`payment-${paymentId}`).join())
    },
    users: async () => {
      const userId = pick(ids.users, random)
      const { email, name } = past.people.get(userId)
      const { items } = await get(`/users?email=${encodeURIComponent(email)}`)
      same('account', items.map((item) => `${item.userId} ${item.name}`).join(), `${userId} ${name}`)
      same('logins', items[0].loginCount, Number(past.models.logins.get(userId)?.login_count ?? 0n))
    },
    payment_totals: async () => {
      const { items } = await get(`/stats/payments?from=${pastDays.from}&to=${pastDays.to}`)
      same('totals', linesOf(items), pastDays.lines)
    },
  }

  async function renew() {
    const options = { method: 'POST', body: { email: admin.email, password }, signal }
    const { body, status } = await exchange(`${urls.command}/api/v1/auth/login`, options)
    if (status !== 200) throw new Error(`the administrator's login was answered ${status}`)
    admin.token = body.accessToken
  }

  async function readOnce() {
    const person = load.finished.length > 0 && random() < 0.7 ? pick(load.finished, random) : undefined
    const reads = person ? fresh : old
    const route = pick(Object.keys(reads), random)
    const begun = performance.now()
    counts.reads += 1
    counts.byRoute[route] = (counts.byRoute[route] ?? 0) + 1
    try {
      await reads[route](person)
    } catch (error) {
      if (signal.aborted) return
      counts.failed += 1
      const what = `${route}${person ? '' : ' (past)'}: ${error.cause?.code ?? error.message}`
      if (counts.failures.length >= examplesMax) return
      counts.failures.push(what)
      say(`a read failed: ${what}`)
    }
    counts.slowestMs = Math.max(counts.slowestMs, Math.round(performance.now() - begun))
  }

  async function reader() {
    const everyMs = (1_000 * readersMax) / readsPerSecond
    while (!state.stopped) {
      await delay(everyMs * 2 * random(), undefined, { signal })
      if (!state.stopped) await readOnce()
    }
  }

  return {
    counts,
    readOnce,

    /** Makes the administrator who may read everything. */
    async prepare() {
      admin.email = (await load.register('reader')).email
      await runProgram('command-service/dist/operator/main.js', ['grant-role', admin.email, 'admin'], env)
      await renew()
    },

    /** Reads until it is stopped. */
    async run() {
      const renewing = setInterval(
        () => void renew().catch((error) => say(`the administrator did not get in: ${error.message}`)),
        renewMs,
      )
      try {
        await Promise.all(Array.from({ length: readersMax }, reader))
      } finally {
        clearInterval(renewing)
      }
    },

    stop() {
      state.stopped = true
    },
  }
}

function same(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: "${found}" instead of "${wanted}"`)
}

const linesOf = (items) =>
  items
    .map((item) => [item.day, item.currency, item.createdCount, item.completedCount, item.failedCount].join(' '))
    .toSorted()
    .join('\n')

/** The totals of the past as the query API has to tell them. */
function daysOf(totals) {
  const items = [...totals].map(([key, total]) => {
    const [day, currency] = key.split(' ')
    const { created_count, completed_count, failed_count } = total
    return { day, currency, createdCount: created_count, completedCount: completed_count, failedCount: failed_count }
  })
  const days = items.map(({ day }) => day).toSorted()
  return { from: days[0], to: days.at(-1), lines: linesOf(items) }
}
