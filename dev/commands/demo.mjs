import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { fit } from '../terminal/progress.mjs'

/** A mail leaves within a second or two; the first one of a fresh stack waits for consumer groups to form. */
const mailWithinMs = 30_000
/** A query waits a bounded time for its consistency token and then asks to come back. */
const visibleWithinMs = 30_000
const requestTimeoutMs = 20_000

/**
 * The demo scenario, against the HTTP APIs only: an account, a payment that succeeds, one that fails, and what everyone sees of
 * it. Prints one line per step, 80 columns.
 *
 * @param {object} options
 * @param {string} options.commandUrl
 * @param {string} options.queryUrl
 * @param {string} options.inboxUrl
 * @param {(email: string) => Promise<void>} options.makeAdmin as an operator does it
 * @param {AbortSignal} [options.signal]
 * @param {(line: string) => void} [options.print]
 * @returns {Promise<{ held: boolean, visibleMs: number[] }>} `held`: every step did what it says. `visibleMs`: from the answer to
 *   a command until the read model showed it
 */
export async function runDemo({ commandUrl, queryUrl, inboxUrl, makeAdmin, signal, print = console.log }) {
  const api = `${commandUrl}/api/v1`
  const query = `${queryUrl}/api/v1`
  const email = `ada.${randomBytes(3).toString('hex')}@example.org`
  const password = `${randomBytes(9).toString('base64url')}-Ada1`
  const visibleMs = []
  let bearer = {}

  const step = async (title, work) => {
    signal?.throwIfAborted()
    const begun = performance.now()
    const result = await work()
    const ms = Math.round(performance.now() - begun)
    print(`  ok  ${fit(title, 33).padEnd(33)} ${fit(result.text, 29).padEnd(29)} ${`${ms} ms`.padStart(8)}`)
    return result
  }
  const post = (path, body, headers = {}) =>
    call(`${api}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer, ...headers },
      body,
      signal,
    })
  const get = (path, token) =>
    visible(`${query}${path}`, { headers: { ...bearer, ...(token ? { 'consistency-token': token } : {}) }, signal })
  const pay = (amount, token, description) =>
    post(
      '/payments',
      { amount, currency: 'EUR', method: { type: 'card', token }, description },
      { 'idempotency-key': randomUUID() },
    )
  const readBack = async (paymentId, token, status) => {
    const begun = performance.now()
    const view = await get(`/payments/${paymentId}`, token)
    visibleMs.push(performance.now() - begun)
    expect(view.status, status, 'status in the read model')
    return view
  }

  try {
    const { registrationId } = await step('Ada registers', async () => {
      const { status, body } = await post('/auth/register', { email, password, name: 'Ada Lovelace' })
      expect(status, 202, 'answer')
      return { text: email, ...body }
    })
    const { userId } = await step('… and types the code of the mail', async () => {
      const [mail] = await mailsTo(inboxUrl, email, 1, signal)
      const { body: letter } = await call(`${inboxUrl}/api/messages/${mail.id}`, { signal })
      const code = /^Your code: (\d{6})$/m.exec(letter.text)?.[1]
      const { body } = await post('/auth/verify-email', { registrationId, code })
      return { text: `the account begins`, userId: body.userId }
    })
    await step('… and logs in', async () => {
      const { status, body } = await post('/auth/login', { email, password })
      expect(status, 200, 'answer')
      bearer = { authorization: `Bearer ${body.accessToken}` }
      const me = await get('/users/me', body.consistencyToken)
      expect(me.userId, userId, 'user of /users/me')
      return { text: `she reads "${me.name}"` }
    })
    const { paymentId } = await step('She pays 12.50 EUR by card', async () => {
      const { status, body } = await pay('12.50', 'tok_visa', 'Analytical Engine, instalment 1')
      expect(status, 201, 'answer')
      return { text: `${body.status} ${body.paymentId.slice(0, 8)}…`, ...body }
    })
    const processed = await step('The payment gateway takes it', async () => {
      const { status, body } = await post(`/payments/${paymentId}/process`, {})
      expect(status, 200, 'answer')
      expect(body.status, 'completed', 'status')
      return { text: body.status, ...body }
    })
    await step('The read model shows it', async () => {
      const view = await readBack(paymentId, processed.consistencyToken, 'completed')
      return { text: `${view.amount} ${view.currency} ${view.status}` }
    })
    const declined = await step('A second card is declined', async () => {
      const created = await pay('99.00', 'tok_declined', 'Analytical Engine, instalment 2')
      expect(created.status, 201, 'answer')
      const { body } = await post(`/payments/${created.body.paymentId}/process`, {})
      expect(body.status, 'failed', 'status')
      const view = await readBack(created.body.paymentId, body.consistencyToken, 'failed')
      return { text: `${view.status}: ${view.failureCode}`, ...body }
    })
    const history = await step('The history of the first payment', async () => {
      const { items } = await get(`/payments/${paymentId}/events`, processed.consistencyToken)
      if (items.length < 2) throw new Error(`the history has ${items.length} events, at least 2 were expected`)
      return { text: `${items.length} events`, items }
    })
    print(`        ${fit(history.items.map(({ type }) => type).join(', '), 71)}`)
    const mails = await step('Four mails reach her inbox', async () => {
      const found = await mailsTo(inboxUrl, email, 4, signal)
      return { text: `${found.length} mails`, found }
    })
    for (const { subject } of mails.found.toReversed()) print(`        ${fit(`"${subject}"`, 70)}`)
    await step('An operator makes Ada an admin', async () => {
      await makeAdmin(email)
      const { body } = await post('/auth/login', { email, password })
      bearer = { authorization: `Bearer ${body.accessToken}` }
      return { text: 'the next login says so' }
    })
    await step("… who reads today's totals", async () => {
      const { items } = await get('/stats/payments?currency=EUR', declined.consistencyToken)
      const today = items.at(-1)
      if (!(today?.completedCount >= 1 && today.failedCount >= 1))
        throw new Error('the totals do not count her payments')
      return { text: `${today.completedCount} completed, ${today.failedCount} failed` }
    })
    const text = visibleMs.map((ms) => `${Math.round(ms)} ms`).join(' and ')
    print(`\n  From the answer to a command until the read model showed it: ${text}.`)
    return { held: true, visibleMs }
  } catch (error) {
    if (signal?.aborted) throw error
    print(`  !!  ${error.message}`)
    return { held: false, visibleMs }
  }
}

/**
 * @param {string} url
 * @param {{ method?: string, headers?: Record<string, string>, body?: unknown, signal?: AbortSignal }} options
 * @returns {Promise<{ status: number, body: any }>} for 2xx
 */
async function call(url, { method = 'GET', headers, body, signal }) {
  const timeout = AbortSignal.timeout(requestTimeoutMs)
  const response = await fetch(url, {
    method,
    headers,
    body: body && JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  })
  const text = await response.text()
  if (!response.ok) {
    const error = new Error(`${method} ${new URL(url).pathname} answered ${response.status}: ${text.slice(0, 300)}`)
    throw Object.assign(error, {
      status: response.status,
      retryAfter: Number(response.headers.get('retry-after')) || 1,
    })
  }
  return { status: response.status, body: text ? JSON.parse(text) : undefined }
}

/** Asks again while the query API says that its read model is behind (503 with Retry-After). */
async function visible(url, options) {
  const deadline = Date.now() + visibleWithinMs
  for (;;) {
    try {
      return (await call(url, options)).body
    } catch (error) {
      if (error.status !== 503 || Date.now() > deadline) throw error
      await delay(Math.min(error.retryAfter * 1000, 2_000), undefined, { signal: options.signal })
    }
  }
}

async function mailsTo(inboxUrl, address, count, signal) {
  const deadline = Date.now() + mailWithinMs
  for (;;) {
    const { body } = await call(`${inboxUrl}/api/messages?to=${encodeURIComponent(address)}`, { signal })
    if (body.total >= count) return body.messages
    if (Date.now() > deadline) {
      const got = body.messages.map(({ subject }) => `"${subject}"`).join(', ') || 'none'
      throw new Error(
        `after ${mailWithinMs / 1000} s the inbox of ${address} has ${body.total} of ${count} mails: ${got}`,
      )
    }
    await delay(100, undefined, { signal })
  }
}

function expect(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
}
