import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { eventually, testScope } from '@annals/platform/testing'
import { requireLog, watchLog } from '../../src/set-back/log-watch'
import { failed, people, processed, registered, type Fact, type People } from '../support/facts'
import { deliveries, notifierStack } from '../support/notifier'
import { log } from '../support/servers'

const scope = testScope()
let stack: Awaited<ReturnType<typeof notifierStack>>
let crowd: People

beforeEach(async () => {
  stack = await notifierStack(scope)
  crowd = people()
}, 60_000)

async function publish(...facts: Fact[]): Promise<void> {
  await crowd.save(stack.pool)
  await stack.topics.publish(facts)
}
const expectMails = (user: { userId: string; email: string }, expected: string[]) =>
  eventually(
    async () => {
      const rows = await deliveries(stack.pool, user.userId)
      expect(rows.map(({ rule, state }) => `${rule} ${state}`).toSorted()).toEqual(
        expected.map((rule) => `${rule} accepted`).toSorted(),
      )
      expect(await stack.mail.mails(user.email)).toHaveLength(expected.length)
    },
    { withinMs: 30_000 },
  )
const refused = (words: RegExp) =>
  eventually(() => expect(requireLog(stack.pool)).rejects.toThrow(words), { withinMs: 40_000 })
function operator(...args: string[]) {
  const main = path.join(__dirname, '../../dist/operator/main.js')
  const env = { ...process.env, NOTIFIER_DATABASE_URL: stack.url, EVENTSTORE_URL: stack.store.url }
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { env, encoding: 'utf8' })
  return { status, stdout, stderr }
}
/** Compares once more, rather than in half a minute. */
const compareOnce = async () => {
  const watch = watchLog({ pool: stack.pool, eventLog: stack.eventLog, log })
  await watch.start()
  await watch.stop()
}

describe('a log that was restored to an older state', () => {
  it('is refused in words; accepted, it is read anew, and new facts lead to their mails once', async () => {
    const ada = registered(crowd)
    const stream = `payment-${ada.userId}`
    const kept = failed(crowd, ada.userId, { stream })
    const notifier = await stack.start()
    await publish(ada, kept)
    await expectMails(ada, ['welcome', 'payment-failed'])
    const backup = await stack.store.backUp()
    const bob = registered(crowd)
    const lost = failed(crowd, ada.userId, { stream })
    await publish(bob, lost)
    await expectMails(bob, ['welcome'])
    await expectMails(ada, ['welcome', 'payment-failed', 'payment-failed'])
    await compareOnce()

    await stack.store.putBack(backup)
    await compareOnce()
    await refused(/at position \d+ it held event .*npm run notifier -- accept-log/s)
    // Facts of the restored log, on the revisions and positions of what it has lost.
    const other = processed(crowd, ada.userId, { stream, revision: 1 })
    const eve = registered(crowd)
    await stack.topics.remake()
    await publish(ada, kept, other, eve)
    await eventually(async () =>
      expect(await notifier.registry.metrics()).toMatch(/partition_stopped\{.*reason="log-refused".*\} 1/),
    )
    expect(await notifier.registry.metrics()).toMatch(/annals_log_refused\{.*\} 1/)
    expect(await deliveries(stack.pool, eve.userId)).toEqual([])

    expect(operator('status')).toMatchObject({ status: 3 })
    expect(operator('accept-log', '--why', 'restored', '--as', 'eve')).toMatchObject({ status: 0, stderr: '' })
    await expectMails(eve, ['welcome'])
    await expectMails(ada, ['welcome', 'payment-failed', 'payment-failed', 'payment-confirmation'])
    await expectMails(bob, ['welcome'])
    await compareOnce()
    await expect(requireLog(stack.pool)).resolves.toBeUndefined()
    expect(operator('accept-log', '--why', 'again')).toMatchObject({ status: 4 })
    const { rows } = await stack.pool.query('select who, action, why from operator_action')
    expect(rows).toEqual([{ who: 'eve', action: 'accept-log', why: 'restored' }])
  }, 180_000)

  it('is accepted also before the notifier has noticed it, and noticed when the topics were made anew', async () => {
    const ada = registered(crowd)
    await stack.start()
    await publish(ada)
    await expectMails(ada, ['welcome'])
    const backup = await stack.store.backUp()
    const bob = registered(crowd)
    await publish(bob)
    await expectMails(bob, ['welcome'])
    await stack.store.putBack(backup)
    expect(operator('accept-log', '--why', 'restored')).toMatchObject({ status: 0, stderr: '' })

    await publish(registered(crowd))
    await compareOnce()
    const other = registered(crowd)
    await publish(other)
    await expectMails(other, ['welcome'])
    await stack.store.putBack(backup)
    await stack.topics.remake()
    // Sooner than the next of its comparisons.
    await publish(ada, registered(crowd))
    await eventually(() => expect(requireLog(stack.pool)).rejects.toThrow(/is not the one/), { withinMs: 20_000 })
  }, 120_000)

  it('goes on by itself when a newer backup is restored', async () => {
    const ada = registered(crowd)
    await stack.start()
    await publish(ada)
    await expectMails(ada, ['welcome'])
    await compareOnce()
    const backup = await stack.store.backUp()
    await stack.store.putBack('nothing')
    await compareOnce()
    await refused(/it is empty, and began with/)
    await stack.store.putBack(backup)
    await compareOnce()
    await expect(requireLog(stack.pool)).resolves.toBeUndefined()
    const paid = processed(crowd, ada.userId)
    await publish(paid)
    await expectMails(ada, ['welcome', 'payment-confirmation'])
  }, 90_000)

  it('is refused when it is another log', async () => {
    const ada = registered(crowd)
    const notifier = await stack.start()
    await publish(ada)
    await expectMails(ada, ['welcome'])
    await compareOnce()
    await notifier.stop()
    await stack.store.putBack('nothing')
    await stack.topics.record([registered(crowd)])
    await compareOnce()
    await refused(/it begins with event/)
  }, 90_000)
})
