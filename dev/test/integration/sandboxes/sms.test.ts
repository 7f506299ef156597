import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import twilio from 'twilio'
import { startStack, stopServers } from '../../../stack/native.mjs'
import { removeProfile } from '../../../profile.mjs'

const profile = `test-${process.pid}-sms`
let stack: Awaited<ReturnType<typeof startStack>>
let client: ReturnType<typeof twilio>

/** The official client, sent to the sandbox. */
function clientWith(token: string) {
  const { TWILIO_ACCOUNT_SID, TWILIO_BASE_URL } = stack.env
  const http = new twilio.RequestClient({ timeout: 2_000 })
  const request = http.request.bind(http)
  http.request = (options) =>
    request({ ...options, uri: options.uri.replace('https://api.twilio.com', String(TWILIO_BASE_URL)) })
  return twilio(TWILIO_ACCOUNT_SID, token, { httpClient: http })
}

beforeAll(async () => {
  stack = await startStack({ profile, ports: 'free', only: ['sms'] })
  client = clientWith(String(stack.env.TWILIO_AUTH_TOKEN))
}, 60_000)
afterAll(async () => {
  await stopServers(stack.profile)
  removeProfile(stack.profile)
})

const valid = { from: '+15005550006', to: '+14155552671', body: 'Hello' }

const behave = (fault: string) =>
  fetch(`${stack.env.TWILIO_BASE_URL}/api/behaviour`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ fault, count: 1 }),
  })

describe("the SMS sandbox, met by Twilio's own client", () => {
  it('takes a message, lists it and finds it again', async () => {
    const sent = await client.messages.create({ ...valid, body: 'x'.repeat(161) })
    expect(sent).toMatchObject({ status: 'queued', to: valid.to, from: valid.from, numSegments: '2', errorCode: null })
    expect(sent.sid).toMatch(/^SM[0-9a-f]{32}$/)
    expect((await client.messages(sent.sid).fetch()).status).toBe('delivered')
    await client.messages.create(valid)
    const listed = await client.messages.list({ to: valid.to, pageSize: 1 })
    expect(listed.map(({ body }) => body)).toEqual(['Hello', 'x'.repeat(161)])
  })

  it.each([
    ['no recipient', { to: '' }, 21604],
    ['a number that is none', { to: '+123' }, 21211],
    ["Twilio's invalid number", { to: '+15005550001' }, 21211],
    ['a number it cannot route to', { to: '+15005550002' }, 21612],
    ['a region without permission', { to: '+15005550003' }, 21408],
    ['an unsubscribed number', { to: '+15005550004' }, 21610],
    ['a landline', { to: '+15005550009' }, 21614],
    ['an invalid sender', { from: '+15005550001' }, 21212],
    ['a sender of someone else', { from: '+14155552671' }, 21606],
    ['a sender with a full queue', { from: '+15005550008' }, 21611],
    ['no text', { body: '' }, 21602],
    ['too long a text', { body: 'x'.repeat(1_601) }, 21617],
  ])('refuses %s', async (_what, part, code) => {
    await expect(client.messages.create({ ...valid, ...part })).rejects.toMatchObject({ status: 400, code })
  })

  it('refuses wrong credentials', async () => {
    await expect(clientWith('wrong').messages.create(valid)).rejects.toMatchObject({ status: 401, code: 20003 })
  })

  it('does not know a message that was never sent', async () => {
    await expect(client.messages(`SM${'0'.repeat(32)}`).fetch()).rejects.toMatchObject({ status: 404, code: 20404 })
  })

  it.each([
    ['rate-limit', 429, 20429],
    ['server-error', 500, 20500],
    ['unverified', 400, 21608],
    ['unsubscribed', 400, 21610],
  ])('fails once when told to: %s', async (fault, status, code) => {
    await behave(fault)
    await expect(client.messages.create(valid)).rejects.toMatchObject({ status, code })
    await client.messages.create(valid)
  })

  it('keeps a message whose connection it drops, also over a kill', async () => {
    await behave('drop')
    await expect(client.messages.create({ ...valid, body: 'dropped' })).rejects.toMatchObject({ code: 'ECONNRESET' })
    await stack.kill('sms')
    await stack.restart('sms')
    const [latest] = await client.messages.list({ limit: 1 })
    expect(latest?.body).toBe('dropped')
  }, 60_000)
})
