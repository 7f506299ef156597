import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestScope } from '@annals/platform/testing'
import { FaultSwitch } from '../../../dev/sandboxes/faults.mjs'
import { buildPaymentGateway } from '../../../dev/sandboxes/payment-gateway/api.mjs'
import { chargesFileName, openCharges } from '../../../dev/sandboxes/payment-gateway/charges.mjs'

/** Money that a payment gateway has taken. */
export interface Charge {
  key: string
  amountMinor: number
  currency: string
  source: string
  reference: string
}

/** Whether a connection breaks at a request. */
export interface Losses {
  request?(): boolean
  answer?(): boolean
}

/** The payment gateway sandbox on a port of its own, with what it was asked. */
export interface TestPaymentGateway {
  url: string
  /** Requests for a charge since the start; most of them are repeats. */
  readonly asked: number
  /** The charges that it carried out, by its own record, in their order. */
  charges(): Charge[]
  /** A day goes by for it: it knows no key any more, and keeps its record. */
  forgetKeys(): void
  /** What happens to requests before they are looked at, and to answers before they are sent. Default: nothing. */
  losses: Losses
  /** Ends every connection, as a restart would: whoever waits for an answer gets none. */
  cut(): void
}

/** @param scope closes it. */
export async function startTestPaymentGateway(scope: TestScope): Promise<TestPaymentGateway> {
  const folder = mkdtempSync(path.join(tmpdir(), 'annals-gateway-'))
  const file = path.join(folder, chargesFileName)
  let later = 0
  const charges = openCharges(folder, { now: () => Date.now() + later })
  const app = buildPaymentGateway({ charges, faultSwitch: new FaultSwitch() })
  let asked = 0
  const losses: Losses = {}
  app.addHook('onRequest', async ({ method, raw }, reply) => {
    if (method === 'POST') asked++
    if (!losses.request?.()) return
    raw.destroy()
    reply.hijack()
  })
  app.addHook('onSend', async ({ raw }) => {
    if (losses.answer?.()) raw.destroy()
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  scope.onEnd(async () => {
    await app.close()
    rmSync(folder, { recursive: true, force: true })
  }, 'payment gateway')
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    get asked() {
      return asked
    },
    losses,
    // From its file, not from what it has in memory by key: there a key could not be charged twice.
    charges: () =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
        .filter(({ result }) => result?.status === 'succeeded')
        .map(({ key, request, result }) => ({ key, reference: result.id, ...JSON.parse(request) })),
    forgetKeys() {
      later += 25 * 3_600_000
    },
    cut: () => app.server.closeAllConnections(),
  }
}
