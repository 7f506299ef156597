/**
 * The mail sandbox: SMTP in, a web inbox and an API out. `node dev/sandboxes/mail/main.mjs --smtp-port 1025 --http-port 8025 --data <dir>`
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FaultSwitch } from '../faults.mjs'
import { Journal } from '../journal.mjs'
import { buildInbox } from './inbox.mjs'
import { buildSmtpServer } from './smtp.mjs'

const { values } = parseArgs({
  options: { 'smtp-port': { type: 'string' }, 'http-port': { type: 'string' }, data: { type: 'string' } },
})
const [smtpPort, httpPort] = [values['smtp-port'], values['http-port']].map(Number)
if (!Number.isInteger(smtpPort) || !Number.isInteger(httpPort) || !values.data) {
  console.error('Usage: node dev/sandboxes/mail/main.mjs --smtp-port <port> --http-port <port> --data <folder>')
  process.exit(2)
}

/** A fault test of a few thousand commands keeps all its mail; it is held in memory, and a development machine has this much. */
const bounds = { countMax: 20_000, bytesMax: 256 * 2 ** 20 }
/** @type {Journal<import('./smtp.mjs').StoredMessage>} */
const inbox = new Journal(join(values.data, 'messages.jsonl'), bounds)
const faultSwitch = new FaultSwitch()
const smtp = buildSmtpServer({ inbox, faultSwitch })
// Without a listener a dropped connection would end the process.
smtp.on('error', (error) => console.error(`smtp: ${error.message}`))
const web = buildInbox({ inbox, faultSwitch })

await new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
  smtp.server.once('error', reject)
  smtp.listen(smtpPort, '127.0.0.1', resolve)
})
await web.listen({ port: httpPort, host: '127.0.0.1' })
console.log(`Mail sandbox: SMTP on 127.0.0.1:${smtpPort}, inbox at http://127.0.0.1:${httpPort}`)

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await web.close()
    await new Promise((/** @type {(value?: unknown) => void} */ resolve) => smtp.close(() => resolve()))
    process.exit(0)
  })
}
