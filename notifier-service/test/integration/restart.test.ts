import { afterAll, describe, expect, it } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { allAccepted, expectEachMailOnce } from '../support/each-mail-once'
import { failed, people, processed, registered, type Fact } from '../support/facts'
import { notifierProcesses } from '../support/notifier-processes'
import { Opened } from '../support/servers'

const kills = 5
const factsPerRound = 60

const opened = new Opened()
afterAll(() => opened.close())

describe('a notifier that is killed again and again', () => {
  it('records each intended mail exactly once, misses none, and repeats only under the same Message-ID', async () => {
    const { pool, topics, mail, start } = await notifierProcesses(opened)
    const count = async (table: 'delivery' | 'attempt') =>
      Number((await pool.query<{ n: bigint }>(`select count(*) as n from ${table}`)).rows[0]!.n)

    const crowd = people()
    const intended = new Set<string>()
    for (let round = 0; round < kills; round++) {
      const facts: Fact[] = []
      while (facts.length < factsPerRound) {
        const user = registered(crowd)
        // Payments before their user as well as after.
        facts.push(processed(crowd, user.userId), user, failed(crowd, user.userId))
      }
      await crowd.save(pool)
      for (const each of facts) intended.add(each.id)

      // Killed at a moment that nobody chose: while intents are recorded in one round, while mails go out in the next.
      const watched = round % 2 === 0 ? 'attempt' : 'delivery'
      const until = (await count(watched)) + 1 + Math.floor(Math.random() * 30)
      const notifier = start()
      await topics.publish(facts)
      const deadline = Date.now() + 20_000
      while ((await count(watched)) < until && Date.now() < deadline) await delay(1)
      await notifier.end('SIGKILL')
    }
    start()

    await allAccepted(pool, intended, 60_000)
    const counts = await expectEachMailOnce(pool, mail, intended)
    expect(intended.size).toBe(kills * factsPerRound)
    process.stdout.write(`${kills} kills, ${intended.size} intended, ${JSON.stringify(counts)}\n`)
  }, 180_000)
})
