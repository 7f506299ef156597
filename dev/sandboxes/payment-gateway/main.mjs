/** The payment gateway's sandbox: for development and tests. */
import { parseArgs } from 'node:util'
import { FaultSwitch } from '../faults.mjs'
import { buildPaymentGateway } from './api.mjs'
import { openCharges } from './charges.mjs'

const usage = `node dev/sandboxes/payment-gateway/main.mjs --port <port> --data <folder> [--host <address>] [--name <host name>] [--key-hours <hours>]

  --host       the address it listens on (default: 127.0.0.1)
  --name       a host name under which it answers, beside this machine's own
  --key-hours  after so many hours it forgets the key of a charge, as real payment gateways do (default: 24)

  With PAYMENT_GATEWAY_TOKEN in its environment it asks for that as a bearer token.`

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    data: { type: 'string' },
    host: { type: 'string' },
    name: { type: 'string' },
    'key-hours': { type: 'string' },
  },
})
const port = Number(values.port)
const keyHours = Number(values['key-hours'] ?? 24)
if (!(Number.isInteger(port) && port > 0) || !values.data || !(keyHours > 0)) {
  console.error(`Usage: ${usage}`)
  process.exit(2)
}

const host = values.host ?? '127.0.0.1'
const app = buildPaymentGateway({
  charges: openCharges(values.data, { keyHours }),
  faultSwitch: new FaultSwitch(),
  token: process.env.PAYMENT_GATEWAY_TOKEN || undefined,
  hosts: values.name ? [values.name] : [],
})
await app.listen({ port, host })
console.log(`Payment gateway sandbox: http://${host}:${port}`)

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await app.close()
    process.exit(0)
  })
}
