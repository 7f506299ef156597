import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { FaultSwitch } from '../../../sandboxes/faults.mjs'
import { buildPaymentGateway } from '../../../sandboxes/payment-gateway/api.mjs'
import { chargesFileName, openCharges } from '../../../sandboxes/payment-gateway/charges.mjs'

let folder: string
beforeEach(() => void (folder = mkdtempSync(path.join(tmpdir(), 'annals-payment-gateway-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const file = () => path.join(folder, chargesFileName)

const succeeded = { key: 'k', request: '{}', result: { status: 'succeeded', id: 'ch_1' } } as const

describe('what the payment gateway sandbox has on record', () => {
  it('forgets a key after a day, and never what was charged', () => {
    let now = 0
    const charges = openCharges(folder, { now: () => now })
    charges.record(succeeded)
    now = 24 * 3_600_000
    expect(charges.find('k')).toBeDefined()
    now += 1
    expect(charges.find('k')).toBeUndefined()
    expect(readFileSync(file(), 'utf8')).toContain('ch_1')
  })

  it('survives a restart, less a line that was cut off', () => {
    const first = openCharges(path.join(folder, 'deep'))
    first.record({ ...succeeded, result: null })
    first.record(succeeded)
    const deep = path.join(folder, 'deep', chargesFileName)
    appendFileSync(deep, '{"id":"cut","key":"cut","req')
    const second = openCharges(path.join(folder, 'deep'))
    expect(second.find('k')).toMatchObject(succeeded)
    expect(second.find('cut')).toBeUndefined()
    second.record({ ...succeeded, key: 'next' })
    expect(openCharges(path.join(folder, 'deep')).find('next')).toMatchObject({ key: 'next' })
    // What became of a key first stays on record beside what became of it then.
    expect(readFileSync(deep, 'utf8').trim().split('\n')).toHaveLength(3)
  })

  it('keeps its lines when the one that was cut off is not ASCII', () => {
    mkdirSync(folder, { recursive: true })
    openCharges(folder).record({ ...succeeded, request: '{"x":"zażółć"}' })
    appendFileSync(file(), '{"id":"é')
    openCharges(folder).record({ ...succeeded, key: 'next' })
    expect(openCharges(folder).find('k')).toMatchObject({ request: '{"x":"zażółć"}' })
    expect(openCharges(folder).find('next')).toBeDefined()
  })
})

describe('the payment gateway sandbox', () => {
  const charge = { amountMinor: 100, currency: 'EUR', source: 'tok_visa' }
  const sandbox = (options: { token?: string; hosts?: string[] } = {}) =>
    buildPaymentGateway({ charges: openCharges(folder), faultSwitch: new FaultSwitch(), ...options })
  type Sandbox = ReturnType<typeof sandbox>
  const post = (app: Sandbox, key: string, payload: object, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: '/v1/charges',
      payload,
      headers: { host: 'localhost', 'idempotency-key': key, ...headers },
    })

  it.each([
    ['tok_visa', 200, { status: 'succeeded', id: 'ch_k' }],
    ['tok_declined', 402, { status: 'declined', reason: 'card_declined' }],
    ['tok_nobody_knows', 402, { status: 'declined', reason: 'card_declined' }],
  ])('answers %s with %i, the same for ever under one key', async (source, status, body) => {
    const app = sandbox()
    for (let turn = 0; turn < 2; turn++) {
      const response = await post(app, 'k', { ...charge, source })
      expect([response.statusCode, response.json()]).toEqual([status, body])
    }
    expect((await post(app, 'k', { ...charge, source, amountMinor: 1 })).statusCode).toBe(409)
    expect(readFileSync(file(), 'utf8').trim().split('\n')).toHaveLength(1)
  })

  it('breaks once for tok_error_500, and charges at the repeat', async () => {
    const app = sandbox()
    expect((await post(app, 'k', { ...charge, source: 'tok_error_500' })).statusCode).toBe(500)
    const find = { url: '/v1/charges/k', headers: { host: 'localhost' } }
    expect((await app.inject(find)).statusCode).toBe(404)
    expect((await post(app, 'k', { ...charge, source: 'tok_error_500' })).statusCode).toBe(200)
    expect((await app.inject(find)).json()).toEqual({ status: 'succeeded', id: 'ch_k' })
  })

  it('can be told to break for the next charges, whatever their source', async () => {
    const app = sandbox()
    const headers = { host: 'localhost' }
    const payload = { fault: 'error-500', count: 1, to: 'tok_visa' }
    expect((await app.inject({ method: 'PUT', url: '/api/behaviour', payload, headers })).statusCode).toBe(200)
    expect((await post(app, 'a', { ...charge, source: 'tok_declined' })).statusCode).toBe(402)
    expect((await post(app, 'b', charge)).statusCode).toBe(500)
    expect((await post(app, 'b', charge)).statusCode).toBe(200)
  })

  it('asks for its token, where it has one', async () => {
    const app = sandbox({ token: 'secret' })
    for (const authorization of ['', 'Bearer other', 'secret', 'Basic c2VjcmV0'])
      expect((await post(app, 'k', charge, { authorization })).statusCode).toBe(401)
    expect((await app.inject({ url: '/v1/charges/k', headers: { host: 'localhost' } })).statusCode).toBe(401)
    expect((await app.inject({ url: '/healthz', headers: { host: 'localhost' } })).statusCode).toBe(200)
    expect((await post(app, 'k', charge, { authorization: 'Bearer secret' })).statusCode).toBe(200)
  })

  it('answers under the names of this machine, and those it was given', async () => {
    expect((await post(sandbox(), 'k', charge, { host: 'payment-gateway:3010' })).statusCode).toBe(403)
    const named = sandbox({ hosts: ['payment-gateway'] })
    expect((await post(named, 'k', charge, { host: 'payment-gateway:3010' })).statusCode).toBe(200)
  })
})
