import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createHttpGateway } from '../../../src/payments/payment-gateway/http-gateway'
import { openCharges } from '../../../src/gateway-sandbox/charges'

const charge = {
  key: 'k',
  amount: { minor: 1, currency: 'EUR' },
  method: { type: 'card', token: 'tok_visa' },
} as const

describe('the HTTP gateway', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  /** A server that answers as it is told: what a gateway says on its bad days. */
  async function answering(listener: RequestListener) {
    const server = createServer(listener)
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return createHttpGateway({ baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 300 })
  }
  const saying = (status: number, body: string) =>
    answering((_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body))

  it('takes a charge for proof', async () => {
    const gateway = await saying(200, '{"status":"succeeded","id":"ch_1"}')
    expect(await gateway.charge(charge)).toEqual({ outcome: 'charged', reference: 'ch_1' })
  })

  it.each([
    ['card_declined', 'card-declined'],
    ['insufficient_funds', 'insufficient-funds'],
    ['expired_card', 'card-expired'],
    ['something_new', 'gateway-refused'],
  ])('takes a refusal for proof: %s is %s', async (reason, code) => {
    const gateway = await saying(402, JSON.stringify({ status: 'declined', reason }))
    expect(await gateway.charge(charge)).toEqual({ outcome: 'refused', code })
  })

  it.each([
    [500, '{"status":"succeeded","id":"ch_1"}'],
    [503, ''],
    [409, '{"error":"the key belongs to another charge"}'],
    [200, '{"status":"succeeded"}'],
    [200, '{"status":"pending","id":"ch_1"}'],
    [200, '<html>'],
    [302, '{}'],
    [404, '{}'],
  ])('takes %i %s for no proof of a charge', async (status, body) => {
    const gateway = await saying(status, body)
    expect(await gateway.charge(charge)).toMatchObject({ outcome: 'unknown' })
  })

  it('takes silence, a broken connection and nobody there for no proof', async () => {
    const silent = await answering(() => undefined)
    expect(await silent.charge(charge)).toMatchObject({ outcome: 'unknown' })
    expect(await silent.find('k')).toMatchObject({ outcome: 'unknown' })
    const cutOff = await answering((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"status":"succ'),
    )
    expect(await cutOff.charge(charge)).toMatchObject({ outcome: 'unknown' })
    const breaking = await answering((request) => void request.socket.destroy())
    expect(await breaking.charge(charge)).toMatchObject({ outcome: 'unknown' })
    const nobody = createHttpGateway({ baseUrl: 'http://127.0.0.1:1', timeoutMs: 300 })
    expect(await nobody.charge(charge)).toMatchObject({ outcome: 'unknown' })
  })

  it('tells a charge that never was from one that is not known', async () => {
    expect(await (await saying(404, '{}')).find('k')).toEqual({ outcome: 'absent' })
  })

  it('sends the key, and no amount but in minor units', async () => {
    let seen = {}
    const gateway = await answering((request, response) => {
      let body = ''
      request.on('data', (part) => (body += part))
      request.on('end', () => {
        seen = { key: request.headers['idempotency-key'], ...JSON.parse(body) }
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"succeeded","id":"ch_1"}')
      })
    })
    await gateway.charge(charge)
    expect(seen).toEqual({ key: 'k', amountMinor: 1, currency: 'EUR', source: 'tok_visa' })
  })
})

describe('what the sandbox charged', () => {
  it('forgets a key after a day, and never what was charged', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'annals-charges-'))
    const file = path.join(folder, 'charges.jsonl')
    let now = 0
    const charges = openCharges(file, { now: () => now })
    try {
      charges.record({ key: 'k', request: '{}', result: { status: 'succeeded', id: 'ch_1' } })
      now = 24 * 3_600_000
      expect(charges.find('k')).toBeDefined()
      now += 1
      expect(charges.find('k')).toBeUndefined()
      expect(readFileSync(file, 'utf8')).toContain('ch_1')
    } finally {
      charges.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('remembers over a restart, and leaves out a line that was cut off', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'annals-charges-'))
    const file = path.join(folder, 'deep', 'charges.jsonl')
    try {
      const first = openCharges(file)
      const entry = { key: 'k', request: '{}', result: { status: 'succeeded', id: 'ch_1' } } as const
      first.record({ ...entry, result: null })
      first.record(entry)
      first.close()
      appendFileSync(file, '{"key":"cut","req')
      const second = openCharges(file)
      expect(second.find('k')).toMatchObject(entry)
      expect(second.find('cut')).toBeUndefined()
      second.record({ ...entry, key: 'next' })
      second.close()
      expect(openCharges(file).find('next')).toMatchObject({ key: 'next' })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
