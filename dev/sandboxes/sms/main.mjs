/**
 * The SMS sandbox: answers Twilio's Messages API and sends nothing. `node dev/sandboxes/sms/main.mjs --port 8026 --data <dir>`, with
 * TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN as the credentials it takes.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FaultSwitch } from '../faults.mjs'
import { Journal } from '../journal.mjs'
import { buildSmsApi } from './api.mjs'

const { values } = parseArgs({
  options: { port: { type: 'string' }, data: { type: 'string' }, host: { type: 'string' }, name: { type: 'string' } },
})
const { TWILIO_ACCOUNT_SID: accountSid, TWILIO_AUTH_TOKEN: authToken } = process.env
if (!Number.isInteger(Number(values.port)) || !values.data || !accountSid || !authToken) {
  console.error(
    'Usage: TWILIO_ACCOUNT_SID=… TWILIO_AUTH_TOKEN=… node dev/sandboxes/sms/main.mjs --port <port> --data <folder> [--host <address>] [--name <host name>]',
  )
  process.exit(2)
}

/** As many as the mail sandbox keeps; a message is under 2 KB. */
const bounds = { countMax: 20_000, bytesMax: 64 * 2 ** 20 }
/** @type {Journal<import('./api.mjs').StoredSms>} */
const sent = new Journal(join(values.data, 'messages.jsonl'), bounds)
const api = buildSmsApi({
  accountSid,
  authToken,
  sent,
  faultSwitch: new FaultSwitch(),
  hosts: values.name ? [values.name] : [],
})
const host = values.host ?? '127.0.0.1'
await api.listen({ port: Number(values.port), host })
console.log(`SMS sandbox: Twilio's Messages API at http://${host}:${values.port}`)

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await api.close()
    process.exit(0)
  })
}
