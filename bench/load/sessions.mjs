/** People who log in, whose session is looked at, and who refresh it; and bare bcrypt, in a process like theirs. */
import { randomBytes } from 'node:crypto'
import bcrypt from 'bcrypt'
import { Pool } from 'undici'
import { createRandom } from '../log/random.mjs'
import { closedLoop } from './pace.mjs'
import { dueAt, scheduleOf } from './schedule.mjs'
import { serve } from './serve.mjs'

/** Until the first arrival: all of them are set up by then. */
const leadMs = 100

let pool
serve({
  async connect({ url, connections }) {
    pool = new Pool(url, { connections, pipelining: 1, headersTimeout: 30_000, bodyTimeout: 30_000 })
  },

  /** Logins one after the other on each connection. @returns {Promise<{ perSecond: number, total: number }>} */
  logins: ({ people, concurrency, forMs }) => {
    let next = 0
    return closedLoop(concurrency, forMs, async () => {
      await send('login', people[next++ % people.length])
    })
  },

  /** The comparison alone, as many at a time as the command API makes. */
  async bareBcrypt({ cost, concurrency, forMs }) {
    const password = randomBytes(16).toString('hex')
    const hash = await bcrypt.hash(password, cost)
    return closedLoop(concurrency, forMs, async () => {
      await bcrypt.compare(password, hash)
    })
  },

  /** Sessions of some people, several each. @returns {Promise<{ accessToken: string, refreshToken: string }[]>} */
  async open({ people, count, concurrency }) {
    const sessions = []
    let next = 0
    const one = async () => {
      while (next < count) sessions.push(await send('login', people[next++ % people.length]))
    }
    await Promise.all(Array.from({ length: concurrency }, one))
    return sessions.map(({ accessToken, refreshToken }) => ({ accessToken, refreshToken }))
  },

  /** `GET /auth/validate`: the check that every request with an access token begins with, and nothing more. */
  checks: ({ tokens, concurrency, forMs }) => {
    let next = 0
    return closedLoop(concurrency, forMs, () => check(tokens[next++ % tokens.length]))
  },

  /** Each session on one connection at a time; a refresh brings the token for the next one. */
  async refreshes({ sessions, concurrency, forMs }) {
    const waiting = [...sessions]
    const { perSecond, total } = await closedLoop(concurrency, forMs, async () => {
      const { refreshToken } = waiting.shift()
      waiting.push(await send('refresh', { refreshToken }))
    })
    return { perSecond, total, sessions: waiting.map(({ refreshToken }) => ({ refreshToken })) }
  },

  /**
   * Logins and checks on schedules of their own, made beforehand (see arrivals.mjs).
   *
   * @returns {Promise<{ checkMs: number[], lateMs: number[], loggedIn: number, refused: number }>} from scheduled time to
   *   answer; `refused`: logins answered 503 with `Retry-After`
   */
  async storm({ people, tokens, loginsPerSecond, checksPerSecond, forMs, seed }) {
    const random = createRandom(seed)
    const results = { checkMs: [], lateMs: [], loggedIn: 0, refused: 0 }
    const begunAt = performance.now() + leadMs
    const login = async (dueMs, i) => {
      await dueAt(begunAt + dueMs)
      if (await tryLogin(people[i % people.length])) results.loggedIn += 1
      else results.refused += 1
    }
    const look = async (dueMs, i) => {
      await dueAt(begunAt + dueMs)
      results.lateMs.push(performance.now() - begunAt - dueMs)
      await check(tokens[i % tokens.length])
      results.checkMs.push(performance.now() - begunAt - dueMs)
    }
    await Promise.all([
      ...scheduleOf({ perSecond: loginsPerSecond, forMs, random }).map(login),
      ...scheduleOf({ perSecond: checksPerSecond, forMs, random }).map(look),
    ])
    return results
  },

  close: () => pool.close(),
})

async function post(path, body) {
  const answer = await pool.request({
    method: 'POST',
    path: `/api/v1/auth/${path}`,
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
}

async function send(path, body) {
  const { status, text } = await post(path, body)
  if (status !== 200) throw new Error(`POST ${path} was answered ${status}: ${text.slice(0, 300)}`)
  return JSON.parse(text)
}

/** @returns {Promise<boolean>} `false`: too many are waiting, and it was said for how long */
async function tryLogin(person) {
  const { status, headers, text } = await post('login', person)
  if (status === 200) return true
  if (status === 503 && Number(headers['retry-after']) >= 1) return false
  throw new Error(`a login was answered ${status}: ${text.slice(0, 300)}`)
}

async function check(token) {
  const answer = await pool.request({
    method: 'GET',
    path: '/api/v1/auth/validate',
    headers: { authorization: `Bearer ${token}` },
  })
  const text = await answer.body.text()
  if (answer.statusCode !== 200) throw new Error(`a check was answered ${answer.statusCode}: ${text.slice(0, 300)}`)
}
