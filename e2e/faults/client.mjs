import { setTimeout as delay } from 'node:timers/promises'
import { exchange } from '../http.mjs'

/** A command that nobody answered for this long is given up, and the run fails: every outage of a run is shorter. */
const usualInsistMsMax = 90_000
const retryMs = { first: 50, max: 1_000 }

/** Answers that say: nothing is decided, come back. */
const comeBack = new Set([
  'overloaded',
  'dependency-unavailable',
  'command-in-progress',
  'concurrent-change',
  'too-many-requests',
  'read-model-behind',
  'read-model-rebuilding',
  'internal-error',
  // A store was set back or lost something, and an operator is asked for.
  'personal-data-locked',
  'read-model-parked',
  'read-model-of-another-log',
])

/** The other side decided against it, and would again. */
export class Refused extends Error {
  name = 'Refused'

  /** @param {string} what @param {import('../http.mjs').Answer} answer @param {boolean} doubt an earlier try got no answer */
  constructor(what, { status, body }, doubt) {
    super(`${what} was answered ${status} ${JSON.stringify(body)}`)
    this.code = body?.code
    this.doubt = doubt
  }
}

/**
 * A client that insists: it asks again, with the same key and body, until it is answered.
 *
 * @param {{ signal?: AbortSignal, insistMsMax?: number }} options `insistMsMax`: a command that nobody answered for this long is given up
 */
export function createClient({ signal, insistMsMax = usualInsistMsMax } = {}) {
  const counts = { requests: 0, retries: 0, unanswered: 0, byProblem: {} }

  /**
   * @param {string} what for messages
   * @param {string} url
   * @param {Parameters<typeof exchange>[1]} options `signal`: gives up this one
   * @param {number} [withinMs]
   * @returns {Promise<import('../http.mjs').Answer>} with a status of success
   * @throws {Refused}
   */
  async function insist(what, url, options, withinMs = insistMsMax) {
    const deadline = Date.now() + withinMs
    const until = options.signal ? AbortSignal.any([options.signal, ...(signal ? [signal] : [])]) : signal
    let doubt = false
    for (let attempt = 1; ; attempt++) {
      until?.throwIfAborted()
      counts.requests += 1
      let reason
      try {
        const answer = await exchange(url, { ...options, signal: until })
        if (answer.status < 300) return answer
        const code = answer.body?.code ?? String(answer.status)
        if (!comeBack.has(code)) throw new Refused(what, answer, doubt)
        counts.byProblem[code] = (counts.byProblem[code] ?? 0) + 1
        reason = code
        // 500 says nothing about what was done.
        doubt ||= answer.status === 500
      } catch (error) {
        until?.throwIfAborted()
        if (error instanceof Refused) throw error
        counts.unanswered += 1
        doubt = true
        reason = error.cause?.code ?? error.message
      }
      if (Date.now() > deadline) throw new Error(`${what} was not answered within ${withinMs / 1000} s: ${reason}`)
      counts.retries += 1
      await delay(Math.min(retryMs.max, retryMs.first * 2 ** Math.min(attempt - 1, 10)), undefined, { signal: until })
    }
  }

  return { insist, counts }
}
