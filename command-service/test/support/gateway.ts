import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openLedger } from '../../src/gateway-sandbox/ledger'
import { buildGatewaySandbox } from '../../src/gateway-sandbox/sandbox'

/** The gateway sandbox on a port of its own, with what it was asked. */
export interface TestGateway {
  url: string
  /** Requests for a charge since the start. */
  readonly charges: number
  /** Ends every connection, as a restart would: whoever waits for an answer gets none. */
  cut(): void
  close(): Promise<void>
}

export async function startTestGateway(): Promise<TestGateway> {
  const folder = mkdtempSync(path.join(tmpdir(), 'annals-gateway-'))
  const ledger = openLedger(path.join(folder, 'charges.jsonl'))
  const app = buildGatewaySandbox(ledger)
  let charges = 0
  app.addHook('onRequest', async ({ method }) => {
    if (method === 'POST') charges++
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    get charges() {
      return charges
    },
    cut: () => app.server.closeAllConnections(),
    async close() {
      await app.close()
      ledger.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
