import { randomUUID } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { requireEnv } from '@annals/platform/testing'
import { createSmtpChannel } from '../../src/channels/email/smtp'
import { mailFrom } from '../support/notifier'

/** The sandbox has no TLS: it is what somebody in between shows who takes STARTTLS out of a server's greeting. */
const smtpUrl = requireEnv('SMTP_URL')
const inboxUrl = requireEnv('MAIL_INBOX_URL')

async function send(url: string) {
  const channel = createSmtpChannel({ url, from: mailFrom, connections: 1 })
  const to = `tls-${randomUUID()}@example.org`
  const message = { identity: `<${randomUUID()}@annals.example>`, to, subject: 's', text: 't', html: '<p>t</p>' }
  try {
    const outcome = await channel.send({ ...message, traceparent: undefined } as never, AbortSignal.timeout(10_000))
    const inbox = await fetch(`${inboxUrl}/api/messages?to=${encodeURIComponent(to)}`)
    const { messages } = (await inbox.json()) as { messages: unknown[] }
    return { outcome, arrived: messages.length }
  } finally {
    await channel.close()
  }
}

it('a mail goes out in plaintext where that is not forbidden', async () => {
  expect(await send(smtpUrl)).toMatchObject({ outcome: { kind: 'accepted' }, arrived: 1 })
})

it.each([
  ['requireTLS', () => `${smtpUrl}?requireTLS=true`],
  ['smtps', () => smtpUrl.replace('smtp:', 'smtps:')],
])('with %s it waits, and the server sees none of it', async (_, url) => {
  expect(await send(url())).toMatchObject({ outcome: { kind: 'transient', about: 'channel' }, arrived: 0 })
})
