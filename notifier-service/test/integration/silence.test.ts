import { expect, it, jest } from '@jest/globals'
import { createPool } from '@annals/platform/postgres'
import { eventually, proxyOf, testScope, type SilentProxy } from '@annals/platform/testing'
import { createSmtpChannel } from '../../src/channels/email/smtp'
import { allAccepted, expectEachMailOnce } from '../support/each-mail-once'
import { failed, people, processed, registered } from '../support/facts'
import { attempts, deliveries, mailFrom, notifierStack } from '../support/notifier'
import { log } from '../support/servers'

jest.setTimeout(120_000)

const scope = testScope()

const behind = async (url: string, defaultPort: number) => {
  const proxy = await proxyOf(url, defaultPort)
  return scope.add<SilentProxy & { url: string }>(proxy, (it) => it.close())
}

it('PostgreSQL connections that fall silent stop nothing: each mail is recorded once, and goes out', async () => {
  const stack = await notifierStack(scope)
  const proxy = await behind(stack.url, 5432)
  // A tenth of the usual deadlines, and nothing else.
  const pool = scope.add(createPool(proxy.url, log, 8, { statement_timeout: 1_400 }), (it) => it.end())
  await stack.start({ pool })
  const crowd = people()
  const intended = new Set<string>()
  const publish = async () => {
    const user = registered(crowd)
    const facts = [user, processed(crowd, user.userId), failed(crowd, user.userId)]
    for (const { id } of facts) intended.add(id)
    await crowd.save(stack.pool)
    await stack.topics.publish(facts)
  }
  await publish()
  await allAccepted(stack.pool, intended, 30_000)
  // As after a failover; once the answers alone are lost, when nobody knows what was committed.
  for (const what of ['both', 'answers', 'both'] as const) {
    proxy.silence('established', what)
    for (let i = 0; i < 5; i++) await publish()
    await allAccepted(stack.pool, intended, 45_000)
  }
  await expectEachMailOnce(stack.pool, stack.mail, intended)
})

it('an SMTP connection that falls silent ends one attempt in its time, and the next one goes out on another', async () => {
  const stack = await notifierStack(scope)
  const proxy = await behind(stack.mail.smtpUrl, 25)
  const smtp = scope.add(createSmtpChannel({ url: proxy.url, from: mailFrom, connections: 1 }), (it) => it.close())
  await stack.start({ channels: [smtp], attemptMsMax: 1_500, concurrency: 1 })
  const crowd = people()
  const welcome = async () => {
    const user = registered(crowd)
    await crowd.save(stack.pool)
    await stack.topics.publish([user])
    return eventually(
      async () => {
        const [delivery] = await deliveries(stack.pool, user.userId)
        expect(delivery?.state).toBe('accepted')
        return { email: user.email, attempts: await attempts(stack.pool, delivery!.id) }
      },
      { withinMs: 30_000 },
    )
  }
  await welcome()
  // Nothing of the message was heard, or nobody was told that it was: then it may come again, under the same Message-ID.
  for (const what of ['requests', 'answers'] as const) {
    const made = proxy.accepted
    proxy.silence('established', what)
    const told = await welcome()
    expect(told.attempts.map(({ outcome }) => outcome === 'accepted')).toEqual([false, true])
    expect(proxy.accepted).toBe(made + 1)
    const mails = await stack.mail.mails(told.email)
    expect(new Set(mails.map(({ messageId }) => messageId)).size).toBe(1)
  }
})
