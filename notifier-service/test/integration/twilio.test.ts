import { describe, expect, it } from '@jest/globals'
import { eventually, requireEnv } from '@annals/platform/testing'
import { createTwilioChannel } from '../../src/channels/sms/twilio'

const baseUrl = requireEnv('TWILIO_BASE_URL')
const account = {
  accountSid: requireEnv('TWILIO_ACCOUNT_SID'),
  authToken: requireEnv('TWILIO_AUTH_TOKEN'),
  from: requireEnv('TWILIO_FROM'),
  baseUrl,
  timeoutMs: 1_000,
}
const channel = createTwilioChannel(account)

/** A number of a range that is valid and that no other test uses. */
const ownNumber = () => `+4915${String(Math.floor(Math.random() * 1e8)).padStart(8, '0')}0`.slice(0, 14)

const message = (to: string) => ({ identity: 'id', to, subject: '', text: 'Hello', html: '', traceparent: undefined })
const send = (to: string) => channel.send(message(to), AbortSignal.timeout(2_000))

async function sentTo(to: string): Promise<{ body: string }[]> {
  const response = await fetch(`${baseUrl}/api/messages?to=${encodeURIComponent(to)}`)
  return ((await response.json()) as { messages: { body: string }[] }).messages
}

async function fail(fault: string, to: string): Promise<void> {
  const response = await fetch(`${baseUrl}/api/behaviour`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ fault, count: 1, to }),
  })
  if (!response.ok) throw new Error(`the sandbox refused the fault: ${response.status} ${await response.text()}`)
}

describe('the Twilio channel', () => {
  it('sends, and knows the message by the name that Twilio gave it', async () => {
    const to = ownNumber()
    expect(await send(to)).toEqual({ kind: 'accepted', code: expect.stringMatching(/^SM[0-9a-f]{32}$/) })
    expect(await sentTo(to)).toMatchObject([{ body: 'Hello' }])
  })

  it('refuses what is no number before asking anyone', async () => {
    expect(await send('+49')).toEqual({ kind: 'rejected', code: 'invalid-number' })
    expect(await send('not a number')).toEqual({ kind: 'rejected', code: 'invalid-number' })
  })

  it('ends with a permanent refusal', async () => {
    const to = ownNumber()
    await fail('unsubscribed', to)
    expect(await send(to)).toEqual({ kind: 'rejected', code: '21610' })
  })

  it('may try again after too many requests', async () => {
    const to = ownNumber()
    await fail('rate-limit', to)
    expect(await send(to)).toEqual({ kind: 'transient', code: '20429', about: 'channel' })
  })

  it('knows nothing after a server error', async () => {
    const to = ownNumber()
    await fail('server-error', to)
    expect(await send(to)).toEqual({ kind: 'unknown', code: '20500' })
  })

  it('knows nothing after silence', async () => {
    const to = ownNumber()
    await fail('hang', to)
    expect(await send(to)).toMatchObject({ kind: 'unknown' })
    expect(await sentTo(to)).toEqual([])
  })

  it('knows nothing after a lost answer, though the message went out', async () => {
    const to = ownNumber()
    await fail('drop', to)
    expect(await send(to)).toMatchObject({ kind: 'unknown' })
    await eventually(async () => expect(await sentTo(to)).toHaveLength(1))
  })

  it('calls refused credentials a fault of the channel', async () => {
    const stranger = createTwilioChannel({ ...account, authToken: 'wrong' })
    const outcome = await stranger.send(message(ownNumber()), AbortSignal.timeout(2_000))
    expect(outcome).toEqual({ kind: 'transient', code: '20003', about: 'channel' })
  })

  it('knows that nothing was sent when nobody listens', async () => {
    const nobody = createTwilioChannel({ ...account, baseUrl: 'http://127.0.0.1:1' })
    const outcome = await nobody.send(message(ownNumber()), AbortSignal.timeout(2_000))
    expect(outcome).toEqual({ kind: 'transient', code: 'ECONNREFUSED', about: 'channel' })
  })
})
