import { createConnection } from 'node:net'
import { join } from 'node:path'
import { root } from '../../profile.mjs'

/** @type {import('../native.mjs').Server} */
export const mailServer = {
  name: 'mail',
  title: 'Mail sandbox',
  ports: ['smtp', 'inbox'],
  readyWithinMs: 60_000,
  prepare: async () => {},
  async launch({ profile }) {
    const { smtp, inbox } = profile.ports
    const args = ['--smtp-port', String(smtp), '--http-port', String(inbox), '--data', join(profile.data, 'mail')]
    return { name: 'mail', command: process.execPath, args: [join(root, 'dev/sandboxes/mail/main.mjs'), ...args] }
  },
  async ready({ profile }) {
    await answersHealth(profile.ports.inbox)
    await accepts(profile.ports.smtp)
  },
}

/** @type {import('../native.mjs').Server} */
export const smsServer = {
  name: 'sms',
  title: 'SMS sandbox',
  ports: ['sms'],
  readyWithinMs: 60_000,
  prepare: async () => {},
  async launch({ profile }) {
    const { TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN } = profile.secrets
    const args = ['--port', String(profile.ports.sms), '--data', join(profile.data, 'sms')]
    const env = { ...process.env, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN }
    return { name: 'sms', command: process.execPath, args: [join(root, 'dev/sandboxes/sms/main.mjs'), ...args], env }
  },
  ready: ({ profile }) => answersHealth(profile.ports.sms),
}

async function answersHealth(port) {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1_000) })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`/healthz answered ${response.status}`)
}

function accepts(port) {
  return new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1', timeout: 1_000 })
    socket.once('error', reject)
    socket.once('timeout', () => socket.destroy(new Error('no greeting')))
    // The greeting "220 …": the server speaks first.
    socket.once('data', () => {
      socket.end('QUIT\r\n')
      resolve()
    })
  })
}
