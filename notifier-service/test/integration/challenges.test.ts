import { beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { eventually, requireEnv, testScope } from '@annals/platform/testing'
import { createTwilioChannel } from '../../src/channels/sms/twilio'
import { dropExpired } from '../../src/deliveries/recipients'
import { challenged, changed, people, processed, registered, type Fact } from '../support/facts'
import { deliveries, notifierStack } from '../support/notifier'

const scope = testScope('file')
const crowd = people()
const smsUrl = requireEnv('TWILIO_BASE_URL')
let stack: Awaited<ReturnType<typeof notifierStack>>

beforeAll(async () => {
  stack = await notifierStack(scope)
  const sms = createTwilioChannel({
    accountSid: requireEnv('TWILIO_ACCOUNT_SID'),
    authToken: requireEnv('TWILIO_AUTH_TOKEN'),
    from: '+15005550006',
    baseUrl: smsUrl,
    timeoutMs: 5_000,
  })
  await stack.start({ channels: [stack.smtp, sms] })
}, 60_000)

async function publish(...facts: Fact[]): Promise<void> {
  await crowd.save(stack.pool)
  await stack.topics.publish(facts)
}

const settled = (recipient: string, expected: [rule: string, state: string, reason?: string][]) =>
  eventually(
    async () => {
      const rows = await deliveries(stack.pool, recipient)
      const found = rows.map(({ rule, state, reason }) => [rule, state, reason])
      expect(found).toEqual(expected.map(([rule, state, reason]) => [rule, state, reason ?? expect.anything()]))
    },
    { withinMs: 20_000 },
  )

async function mailTo(address: string) {
  const [mail, ...more] = await stack.mail.mails(address)
  expect(more).toEqual([])
  return { ...mail!, ...(await stack.mail.read(mail!.id)) }
}

async function everythingStored(): Promise<string> {
  const { rows } = await stack.pool.query<{ everything: string }>(
    `select (select coalesce(string_agg(r::text, ''), '') from recipient r)
       || (select coalesce(string_agg(d::text, ''), '') from delivery d)
       || (select coalesce(string_agg(a::text, ''), '') from attempt a) as everything`,
  )
  return rows[0]!.everything
}

describe('a challenge', () => {
  it('goes where its event says, with code and link, which are stored nowhere', async () => {
    const asked = challenged(crowd, { locale: 'es', code: '314159' })
    await publish(asked)
    await settled(asked.challengeId, [['verify-email-email', 'accepted']])
    const { subject, text, html } = await mailTo(asked.to)
    expect(subject).toBe('Confirme su dirección de correo')
    const link = `https://annals.example/verify-email#token=${asked.token}`
    expect(text).toContain(link)
    expect(text).toContain('314159')
    expect(html).toContain('314159')
    const stored = await everythingStored()
    expect(stored).toContain(asked.challengeId)
    for (const secret of [asked.to, '314159', String(asked.token)]) expect(stored).not.toContain(secret)
  })

  it('goes by text message where it says so', async () => {
    const to = `+1415555${String(Math.floor(Math.random() * 10_000)).padStart(4, '0')}`
    const asked = challenged(crowd, { purpose: 'second-factor', channel: 'sms', to, code: '161803', token: null })
    await publish(asked)
    await settled(asked.challengeId, [['second-factor-sms', 'accepted']])
    const { messages } = (await (await fetch(`${smsUrl}/api/messages`)).json()) as {
      messages: { to: string; body: string }[]
    }
    expect(messages.find((message) => message.to === to)?.body).toMatch(/^161803 is your Annals sign-in code/)
    expect(await everythingStored()).not.toContain(to)
  })

  it('is not sent when it is over', async () => {
    const late = challenged(crowd, { expiresAt: new Date(Date.now() - 1_000).toISOString() })
    await publish(late)
    await settled(late.challengeId, [['verify-email-email', 'suppressed', 'expired']])
    expect(await stack.mail.mails(late.to)).toEqual([])
  })

  it('is not sent when its key is gone', async () => {
    const gone = people()
    const asked = challenged(gone)
    await gone.destroy(stack.pool)
    await publish(asked)
    await settled(asked.challengeId, [['verify-email-email', 'suppressed', 'expired']])
    expect(await stack.mail.mails(asked.to)).toEqual([])
  })

  it('that nobody sends by its channel is not sent by another', async () => {
    const asked = challenged(crowd, { purpose: 'change-phone', channel: 'email' })
    const after = challenged(crowd)
    await publish(asked, after)
    await settled(after.challengeId, [['verify-email-email', 'accepted']])
    expect(await deliveries(stack.pool, asked.challengeId)).toEqual([])
  })

  it('says goodbye to somebody whose own key is destroyed', async () => {
    const asked = challenged(crowd, { purpose: 'goodbye', code: null, token: null })
    await publish(asked)
    await settled(asked.challengeId, [['goodbye-email', 'accepted']])
    expect((await mailTo(asked.to)).text).toContain('last message')
  })

  it('that is long over leaves no row, and its delivery ends', async () => {
    const old = challenged(crowd, { expiresAt: new Date(Date.now() - 90_000_000).toISOString() })
    await publish(old)
    await settled(old.challengeId, [['verify-email-email', 'suppressed', 'expired']])
    await eventually(async () => {
      await dropExpired(stack.pool)
      const { rows } = await stack.pool.query('select from recipient where user_id = $1', [old.challengeId])
      expect(rows).toEqual([])
    })
  })
})

describe('mail of an account', () => {
  it('goes to the last address, in the last language', async () => {
    const ada = registered(crowd)
    const email = `new-${ada.userId}@people.example`
    await publish(
      ada,
      changed(crowd, 'user.email_changed', { userId: ada.userId, email: `first-${email}`, by: 'owner' }),
      changed(crowd, 'user.email_changed', { userId: ada.userId, email, by: 'owner' }),
      changed(crowd, 'user.profile_changed', {
        userId: ada.userId,
        name: 'Ada',
        locale: 'de',
        timeZone: 'Europe/Berlin',
      }),
    )
    await eventually(async () => expect(await deliveries(stack.pool, ada.userId)).toHaveLength(1))
    await publish(processed(crowd, ada.userId))
    await eventually(
      async () => {
        const mails = await stack.mail.mails(email)
        expect(mails.map(({ subject }) => subject)).toContainEqual(expect.stringMatching(/abgeschlossen$/))
      },
      { withinMs: 20_000 },
    )
    expect(await everythingStored()).not.toContain(email)
  })

  it('tells the owner that the password was changed', async () => {
    const ada = registered(crowd, { locale: 'es' })
    await publish(
      ada,
      changed(crowd, 'user.password_changed', {
        userId: ada.userId,
        credentialId: randomUUID(),
        epoch: 2,
        exceptSessionId: null,
        by: 'reset',
      }),
    )
    await settled(ada.userId, [
      ['password-changed', 'accepted'],
      ['welcome', 'accepted'],
    ])
  })

  it('is not sent by text message to who has no number', async () => {
    const ada = registered(crowd)
    await publish(ada)
    await settled(ada.userId, [['welcome', 'accepted']])
    const { rows } = await stack.pool.query<{ id: string }>(
      `update delivery set channel = 'sms', state = 'pending', next_attempt_at = now(), settled_at = null, attempts = 5
       where recipient = $1 returning id`,
      [ada.userId],
    )
    expect(rows).toHaveLength(1)
    await settled(ada.userId, [['welcome', 'rejected', 'no-address']])
  })
})
