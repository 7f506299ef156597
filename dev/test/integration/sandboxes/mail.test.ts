import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createTransport } from 'nodemailer'
import { startStack, stopServers } from '../../../stack/native.mjs'
import { removeProfile } from '../../../profile.mjs'

const profile = `test-${process.pid}-mail`
let stack: Awaited<ReturnType<typeof startStack>>

beforeAll(async () => {
  stack = await startStack({ profile, ports: 'free', only: ['mail'] })
}, 60_000)
afterAll(async () => {
  await stopServers(stack.profile)
  removeProfile(stack.profile)
})

const to = 'ann@example.org'

const send = (subject: string, recipient = to) =>
  createTransport({ url: stack.env.SMTP_URL, socketTimeout: 1_000 } as never).sendMail({
    from: 'Annals <no-reply@annals.example>',
    to: recipient,
    subject,
    messageId: `<${subject.replaceAll(' ', '-')}@annals.example>`,
    text: 'Hello',
    html: '<p>Hello <b>Ann</b></p>',
  })

async function api(path: string, init?: RequestInit) {
  const response = await fetch(`${stack.env.MAIL_INBOX_URL}/api${path}`, init)
  return { status: response.status, body: response.status === 204 ? undefined : JSON.parse(await response.text()) }
}

const behave = (body: unknown) =>
  api('/behaviour', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

const subjects = async (query = '') =>
  (await api(`/messages?${query}`)).body.messages.map((message: { subject: string }) => message.subject)

describe('the mail sandbox', () => {
  it('keeps a mail as it was sent', async () => {
    await send('Grüße an alle')
    const { body } = await api(`/messages?to=ANN@example.org&subject=gr%C3%BC%C3%9Fe`)
    expect(body.total).toBe(1)
    const whole = await api(`/messages/${body.messages[0].id}`)
    expect(whole.body).toMatchObject({
      messageId: '<Grüße-an-alle@annals.example>',
      envelope: { from: 'no-reply@annals.example', to: [to] },
      text: 'Hello',
      html: '<p>Hello <b>Ann</b></p>',
      headers: { to },
    })
  })

  it('still has it after a kill', async () => {
    await send('before the kill')
    await stack.kill('mail')
    await stack.restart('mail')
    expect(await subjects()).toContain('before the kill')
  }, 60_000)

  it.each([
    ['reject', { responseCode: 550 }],
    ['reject-recipient', { responseCode: 550, code: 'EENVELOPE' }],
    ['defer', { responseCode: 451 }],
    ['hang', { code: 'ETIMEDOUT' }],
  ])('fails once when told to %s, and keeps nothing', async (fault, expected) => {
    await behave({ fault, count: 1 })
    await expect(send(`told to ${fault}`)).rejects.toMatchObject(expected)
    await send(`after ${fault}`)
    expect(await subjects(`subject=${fault}`)).toEqual([`after ${fault}`])
  })

  it('keeps a mail whose connection it drops: its sender cannot know', async () => {
    await behave({ fault: 'drop', count: 1 })
    await expect(send('dropped')).rejects.toMatchObject({ code: 'ECONNECTION' })
    expect(await subjects('subject=dropped')).toEqual(['dropped'])
  })

  it('keeps a mail whose sender it tells nothing', async () => {
    await behave({ fault: 'keep-silent', count: 1 })
    await expect(send('unanswered')).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    expect(await subjects('subject=unanswered')).toEqual(['unanswered'])
  })

  it('fails for the named recipient only', async () => {
    await behave({ fault: 'reject', count: 1, to: 'bob@example.org' })
    await send('to ann')
    await expect(send('to bob', 'bob@example.org')).rejects.toMatchObject({ responseCode: 550 })
  })

  it('refuses a fault it does not know', async () => {
    expect((await behave({ fault: 'explode', count: 1 })).status).toBe(400)
    expect((await behave({ fault: 'reject', count: 0 })).status).toBe(400)
  })

  it('shows a page that runs nothing from a mail', async () => {
    const [{ id }] = (await api('/messages?limit=1')).body.messages
    const page = await fetch(`${stack.env.MAIL_INBOX_URL}/api/messages/${id}/html`)
    expect(page.headers.get('content-security-policy')).toContain("sandbox; default-src 'none'")
    expect((await fetch(`${stack.env.MAIL_INBOX_URL}/`)).status).toBe(200)
  })

  it('deletes all', async () => {
    expect((await api('/messages', { method: 'DELETE' })).status).toBe(204)
    expect(await subjects()).toEqual([])
  })
})
