import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createHttpPaymentGateway } from '../../../src/payments/payment-gateway/http-payment-gateway'

const charge = {
  key: 'k',
  amount: { minor: 1, currency: 'EUR' },
  method: { type: 'card', token: 'tok_visa' },
} as const

describe('the HTTP payment gateway', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  /** A server that answers as it is told: what a payment gateway says on its bad days. */
  async function answering(listener: RequestListener) {
    const server = createServer(listener)
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return createHttpPaymentGateway({ baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 300, token: 'secret' })
  }
  const saying = (status: number, body: string) =>
    answering((_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body))

  it('takes a charge for proof', async () => {
    const paymentGateway = await saying(200, '{"status":"succeeded","id":"ch_1"}')
    expect(await paymentGateway.charge(charge)).toEqual({ outcome: 'charged', reference: 'ch_1' })
  })

  it.each([
    ['card_declined', 'card-declined'],
    ['insufficient_funds', 'insufficient-funds'],
    ['expired_card', 'card-expired'],
    ['something_new', 'gateway-refused'],
  ])('takes a refusal for proof: %s is %s', async (reason, code) => {
    const paymentGateway = await saying(402, JSON.stringify({ status: 'declined', reason }))
    expect(await paymentGateway.charge(charge)).toEqual({ outcome: 'refused', code })
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
    [401, '{"error":"unknown credentials"}'],
  ])('takes %i %s for no proof of a charge', async (status, body) => {
    const paymentGateway = await saying(status, body)
    expect(await paymentGateway.charge(charge)).toMatchObject({ outcome: 'unknown' })
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
    const nobody = createHttpPaymentGateway({ baseUrl: 'http://127.0.0.1:1', timeoutMs: 300, token: 'secret' })
    expect(await nobody.charge(charge)).toMatchObject({ outcome: 'unknown' })
  })

  it('takes its credentials nowhere else', async () => {
    let elsewhere = 0
    const other = createServer((_request, response) => {
      elsewhere++
      response.end('{"status":"succeeded","id":"ch_1"}')
    })
    servers.push(other)
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/v1/charges/k`
    const paymentGateway = await answering((_request, response) => response.writeHead(307, { location }).end())
    expect(await paymentGateway.find('k')).toMatchObject({ outcome: 'unknown' })
    expect(elsewhere).toBe(0)
  })

  it('tells a charge that never was from one that is not known', async () => {
    expect(await (await saying(404, '{}')).find('k')).toEqual({ outcome: 'absent' })
  })

  it('sends its credentials, the key, and no amount but in minor units', async () => {
    let seen = {}
    const paymentGateway = await answering((request, response) => {
      let body = ''
      request.on('data', (part) => (body += part))
      request.on('end', () => {
        const { 'idempotency-key': key, authorization } = request.headers
        seen = { key, authorization, ...JSON.parse(body) }
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"succeeded","id":"ch_1"}')
      })
    })
    await paymentGateway.charge(charge)
    expect(seen).toEqual({
      key: 'k',
      authorization: 'Bearer secret',
      amountMinor: 1,
      currency: 'EUR',
      source: 'tok_visa',
    })
  })
})
