import { randomBytes, randomUUID } from 'node:crypto'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from '@jest/globals'
import bcrypt from 'bcrypt'
import { eventually, proxyOf, testScope, type SilentProxy, type TestDatabase } from '@annals/platform/testing'
import { commandDatabase } from '../../support/database'
import { peppersOf } from '../../../src/accounts/password-forms'
import { createPasswords } from '../../../src/accounts/passwords'
import { formerAccounts } from '../../support/former-accounts'
import { distanceOf, medianOf } from '../../support/distributions'
import {
  aPayment,
  newEmail,
  newPayment,
  password,
  somebody,
  startTestService,
  testEnvironment,
  type Environment,
  type TestService,
} from '../../support/service'

import { generousLimits } from '../../../../dev/stack/generous-limits.mjs'

const wrong = 'wrong horse battery'
const scope = testScope('file')
let database: TestDatabase
let environment: Environment
let service: TestService

beforeAll(async () => {
  database = await scope.database(commandDatabase)
  environment = testEnvironment({
    COMMAND_DATABASE_URL: database.url,
    PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
    TRUSTED_PROXIES: '127.0.0.1',
    RATE_LIMITS: generousLimits({ 'authentication.account': '10/900' }),
  })
  service = await startTestService(scope, environment, { BCRYPT_COST: 4 })
})

let clients = 0
/** An address that nobody else in this file has. */
const newClient = () => `2001:db8:0:${(clients++).toString(16)}::1`
const from = (client: string) => ({ 'x-forwarded-for': client })
const login = (email: string, given: string, client = newClient(), through = service) =>
  through.post('/api/v1/auth/login', { body: { email, password: given }, headers: from(client) })
const register = (body: object, key?: string, client = newClient(), through = service) =>
  through.post('/api/v1/auth/register', {
    body: { password, name: 'Anna', ...body },
    headers: { ...from(client), ...(key ? { 'idempotency-key': key } : {}) },
  })
const codesOf = (replies: readonly { body: { code?: string } }[]) => {
  const counts: Record<string, number> = {}
  for (const { body } of replies) counts[body.code ?? 'done'] = (counts[body.code ?? 'done'] ?? 0) + 1
  return counts
}

describe('400 guesses at once, of which 10 are allowed', () => {
  let redis: SilentProxy & { url: string }
  let cut: TestService

  beforeAll(async () => {
    redis = await proxyOf(environment['REDIS_URL']!, 6379)
    scope.onEnd(() => redis.close())
    cut = await startTestService(scope, { ...environment, REDIS_URL: redis.url }, { BCRYPT_COST: 4 })
  })

  it.each([
    ['answers', 10],
    // Alone, a process lets half through.
    ['is frozen', 5],
    ['does as it is told and says nothing', 5],
  ])('while Redis %s are judged %i times', async (redisNow, allowed) => {
    const { email } = await somebody(cut)
    if (redisNow !== 'answers') redis.silence('all', redisNow === 'is frozen' ? 'both' : 'answers')
    try {
      const replies = await Promise.all(Array.from({ length: 400 }, () => login(email, wrong, newClient(), cut)))
      const { 'invalid-credentials': judged, 'too-many-requests': throttled } = codesOf(replies)
      expect([judged, throttled]).toEqual([allowed, 400 - allowed])
      for (const { status, headers } of replies.filter((reply) => reply.status !== 401))
        expect([status, Number(headers.get('retry-after')) > 0]).toEqual([429, true])
      // The right one would be told now, if it were looked at.
      expect((await login(email, password, newClient(), cut)).status).toBe(429)
    } finally {
      redis.restore()
    }
  })
})

describe('repeating a registration', () => {
  it('is no way to try passwords: with logins, an address can be tried a few times', async () => {
    const email = newEmail()
    const key = randomUUID()
    expect((await register({ email }, key)).status).toBe(201)
    for (let i = 0; i < 5; i++) {
      const { status, body } = await register({ email, password: `${wrong} ${i}` }, key)
      expect([status, body.code]).toEqual([422, 'idempotency-key-reused'])
      expect((await login(email, wrong)).status).toBe(401)
    }
    for (const given of [wrong, password]) {
      const { status, body, headers } = await register({ email, password: given }, key)
      expect([status, body.code]).toEqual([429, 'too-many-requests'])
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(800)
    }
    expect((await login(email, password)).status).toBe(429)
    expect(await service.metrics()).toMatch(
      /annals_command_password_checks_total\{purpose="registration",verdict="throttled",service="command-service"\} 2/,
    )
  })

  it('with the right password is answered as often as it is asked', async () => {
    const email = newEmail()
    const key = randomUUID()
    const client = newClient()
    for (let i = 0; i < 12; i++) expect((await register({ email }, key, client)).status).toBe(201)
  })

  it('is no way to try names either', async () => {
    const email = newEmail()
    const key = randomUUID()
    await register({ email }, key)
    for (let i = 0; i < 10; i++) expect((await register({ email, name: `Anna ${i}` }, key)).status).toBe(422)
    expect((await register({ email, name: 'Anna X' }, key)).status).toBe(429)
  })
})

describe('a stranger who guesses', () => {
  const guessAll = (email: string, client: string) =>
    Promise.all(Array.from({ length: 12 }, () => login(email, wrong, client)))

  it('does not keep the owner out who logs in from where he did before', async () => {
    const home = newClient()
    const { email } = await somebody(service)
    expect((await login(email, password, home)).status).toBe(200)
    await guessAll(email, newClient())
    expect((await login(email, password)).status).toBe(429)
    expect((await login(email, password, home)).status).toBe(200)
    // The owner's login takes nothing back from the stranger's count.
    expect((await login(email, password)).status).toBe(429)
  })

  it('has twice as many where the owner was before, four times as many with the program of the owner, and no more', async () => {
    const limits = generousLimits({ 'authentication.account': '3/900' })
    const few = await startTestService(scope, { ...environment, RATE_LIMITS: limits }, { BCRYPT_COST: 4 })
    const home = newClient()
    const { email } = await somebody(few)
    const guess = (given: string, device: string) =>
      few.post('/api/v1/auth/login', {
        body: { email, password: given },
        headers: { ...from(home), 'user-agent': device },
      })
    // One after the other: a process that stands still takes Redis for silent, and knows nobody then.
    async function guesses(device: string) {
      const replies: Awaited<ReturnType<typeof guess>>[] = []
      while (replies.length < 14) replies.push(await guess(wrong, device))
      return replies
    }
    expect((await guess(password, 'owner/1')).status).toBe(200)
    expect(codesOf(await guesses('another/1'))).toEqual({ 'invalid-credentials': 6, 'too-many-requests': 8 })
    expect((await guess(password, 'another/1')).status).toBe(429)
    expect(codesOf(await guesses('owner/1'))).toEqual({ 'invalid-credentials': 6, 'too-many-requests': 8 })
    expect((await guess(password, 'owner/1')).status).toBe(429)
    await few.close()
  })

  it('does not learn from the count whether the owner logs in meanwhile', async () => {
    const counts = await Promise.all(
      [await somebody(service), undefined].map(async (owner) => {
        const email = owner?.email ?? newEmail()
        const home = newClient()
        const verdicts: number[] = []
        for (let i = 0; i < 12; i++) {
          verdicts.push((await login(email, wrong)).status)
          if (owner) expect((await login(email, password, home)).status).toBe(200)
        }
        return verdicts
      }),
    )
    expect(counts[0]).toEqual(counts[1])
    expect(counts[0]).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429])
  })

  it('is trusted less after many failures, from whichever addresses', async () => {
    const client = newClient()
    for (let i = 0; i < 20; i++) expect((await login(newEmail(), wrong, client)).status).toBe(401)
    const { email } = await somebody(service)
    const guesses = await Promise.all(Array.from({ length: 12 }, () => login(email, wrong, client)))
    expect(codesOf(guesses)).toEqual({ 'invalid-credentials': 5, 'too-many-requests': 7 })
  })
})

describe('a client', () => {
  it('is a /64 of IPv6, whichever of its addresses it takes', async () => {
    const limits = generousLimits({ 'authentication.ip': '4/900' })
    const few = await startTestService(scope, { ...environment, RATE_LIMITS: limits }, { BCRYPT_COST: 4 })
    try {
      const network = `2001:db8:${randomUUID().slice(0, 4)}:${randomUUID().slice(0, 4)}`
      for (let i = 1; i <= 4; i++)
        expect((await login(newEmail(), wrong, `${network}:${i}::${i}`, few)).status).toBe(401)
      expect((await login(newEmail(), wrong, `${network}:ffff::5`, few)).status).toBe(429)
    } finally {
      await few.close()
    }
  })
})

describe('a known and an unknown address', () => {
  /** Samples of each side. */
  const samples = 200
  /** Of the time of an answer that is left to chance: see `distanceOf`. */
  const distanceMax = 0.3

  it('are refused after the same time, whatever form, key and cost the hash has, its data key not at hand', async () => {
    const account = formerAccounts(scope, environment, database)
    const hashesUnder = (key: string) =>
      createPasswords({ cost: 7, peppers: peppersOf([Buffer.from(key, 'base64')]), concurrency: 1, queueMax: 10 })
    const hashers = [environment['PASSWORD_PEPPER']!, randomBytes(32).toString('base64')].map(hashesUnder)
    const place = { purpose: 'login', client: 'test' } as const
    // A third each: form v1, today's form, and one whose key is not configured any more.
    const hashes = await Promise.all([
      bcrypt.hash(password, 7),
      ...hashers.map((passwords) => passwords.hash(password, place)),
    ])
    const known: string[] = []
    while (known.length < samples) {
      const some = Array.from({ length: 10 }, (_, i) => account(hashes[(known.length + i) % hashes.length]!))
      known.push(...(await Promise.all(some)).map(({ email }) => email))
    }
    // Another process, which has no key in its memory, after cost and key were changed.
    const changed = [randomBytes(32).toString('base64'), environment['PASSWORD_PEPPER']].join(',')
    const later = await startTestService(scope, { ...environment, PASSWORD_PEPPER: changed }, { BCRYPT_COST: 8 })
    try {
      const timeOf = async (email: string) => {
        const startedAt = performance.now()
        const { status } = await login(email, wrong, newClient(), later)
        expect(status).toBe(401)
        return performance.now() - startedAt
      }
      for (let i = 0; i < 20; i++) await timeOf(newEmail())
      const times = { known: [] as number[], unknown: [] as number[] }
      for (const [i, email] of known.entries()) {
        // In turn, and each side first in half of the rounds: what else the machine does meets both.
        const round = [() => times.known, () => times.unknown].map(
          (side, j) => [side(), j ? newEmail() : email] as const,
        )
        for (const [side, address] of i % 2 ? round : round.toReversed()) side.push(await timeOf(address))
      }
      const distance = distanceOf(times.known, times.unknown)
      const [knownMs, unknownMs] = [times.known, times.unknown].map((side) => medianOf(side).toFixed(1))
      if (distance >= distanceMax)
        throw new Error(`told apart: known ${knownMs} ms, unknown ${unknownMs} ms, D ${distance.toFixed(2)}`)
    } finally {
      await later.close()
    }
  }, 180_000)
})

describe('fairness', () => {
  it('60 connections that register leave logins their place', async () => {
    const slow = await startTestService(scope, environment, { BCRYPT_COST: 8 })
    const { email } = await somebody(slow)
    const stop = new AbortController()
    let refused = 0
    const attacker = newClient()
    const attack = Array.from({ length: 60 }, async () => {
      while (!stop.signal.aborted) {
        const { status, headers } = await register({ email: newEmail() }, undefined, attacker, slow)
        if (status === 201) continue
        expect([429, 503]).toContain(status)
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
        refused++
        // Server and clients of this test share one processor, which is not what they compete for.
        await delay(200)
      }
    })
    try {
      // The queue of registrations is full by now, and stays so.
      await eventually(() => expect(refused).toBeGreaterThan(0))
      for (let i = 0; i < 3; i++) expect((await login(email, password, newClient(), slow)).status).toBe(200)
      // Nor do they take it from others who register.
      for (let i = 0; i < 2; i++)
        expect((await register({ email: newEmail() }, undefined, newClient(), slow)).status).toBe(201)
    } finally {
      stop.abort()
      await Promise.all(attack)
      await slow.close()
    }
  }, 60_000)

  it('one user whose payment gateway is silent leaves others their commands', async () => {
    const silent: Server = createServer((socket) => socket.on('error', () => undefined).resume())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const waiting = await startTestService(
      scope,
      { ...environment, PAYMENT_GATEWAY_URL: url, PAYMENT_GATEWAY_TIMEOUT_MS: '3000' },
      { BCRYPT_COST: 4 },
    )
    try {
      const [greedy, other] = [await somebody(waiting), await somebody(waiting)]
      const payments: string[] = []
      while (payments.length < 60)
        payments.push(...(await Promise.all(Array.from({ length: 10 }, () => newPayment(waiting, greedy)))))
      const charges = payments.map((paymentId) =>
        waiting.post(`/api/v1/payments/${paymentId}/process`, { token: greedy.token }),
      )
      const first = await Promise.race(charges)
      expect([first.status, first.body.code, first.headers.get('retry-after')]).toEqual([429, 'too-many-requests', '5'])
      const { status } = await waiting.post('/api/v1/payments', {
        token: other.token,
        body: aPayment(),
        headers: { 'idempotency-key': randomUUID() },
      })
      expect(status).toBe(201)
      expect(codesOf(await Promise.all(charges))).toEqual({ done: 50, 'too-many-requests': 10 })
    } finally {
      await waiting.close()
      silent.close()
    }
  }, 60_000)
})
