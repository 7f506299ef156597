import { describe, expect, it } from '@jest/globals'
import { eventually, testScope } from '@annals/platform/testing'
import { allAccepted, expectEachMailOnce } from '../support/each-mail-once'
import { failed, people, processed, registered, type Fact } from '../support/facts'
import { notifierProcesses } from '../support/notifier-processes'

/** In an attempt, while intents are recorded, in an attempt. The fault run kills far more often. */
const kills = 3
const factsPerRound = 60

const scope = testScope('file')

describe('a notifier that is killed again and again', () => {
  it('records each intended mail exactly once, misses none, and repeats only under the same Message-ID', async () => {
    const { pool, topics, mail, start } = await notifierProcesses(scope)
    const count = async (table: 'delivery' | 'attempt') =>
      Number((await pool.query<{ n: bigint }>(`select count(*) as n from ${table}`)).rows[0]!.n)

    const crowd = people()
    const intended = new Set<string>()
    let killsInAttempts = 0
    for (let round = 0; round < kills; round++) {
      const facts: Fact[] = []
      while (facts.length < factsPerRound) {
        const user = registered(crowd)
        // Payments before their user as well as after.
        facts.push(processed(crowd, user.userId), user, failed(crowd, user.userId))
      }
      await crowd.save(pool)
      for (const each of facts) intended.add(each.id)

      // Killed at a moment that nobody chose: while mails go out in one round, while intents are recorded in the next. When mails go
      // out, one of them has been taken and not been answered for, so that the kill surely meets an attempt whose mail arrives again.
      const meetsAttempt = round % 2 === 0
      const watched = meetsAttempt ? 'attempt' : 'delivery'
      const until = (await count(watched)) + 1 + Math.floor(Math.random() * 30)
      if (meetsAttempt) await mail.fail('keep-silent', 1)
      const notifier = start()
      await topics.publish(facts)
      await eventually(
        async () => {
          expect(await count(watched)).toBeGreaterThanOrEqual(until)
          expect(await mail.faultsLeft()).toBe(0)
        },
        { withinMs: 60_000 },
      )
      await notifier.end('SIGKILL')
      if (meetsAttempt) killsInAttempts++
    }
    const inHand = await pool.query<{ n: bigint }>(`select count(*) as n from attempt where outcome is null`)
    expect(Number(inHand.rows[0]!.n)).toBeGreaterThanOrEqual(1)
    start()

    await allAccepted(pool, intended, 60_000)
    // Each kill in an attempt made one mail arrive twice, under the Message-ID that the delivery knows it by.
    const counts = await expectEachMailOnce(pool, mail, intended)
    expect(counts.attemptsLost).toBeGreaterThanOrEqual(killsInAttempts)
    expect(counts.arrived - counts.recorded).toBeGreaterThanOrEqual(killsInAttempts)
    expect(intended.size).toBe(kills * factsPerRound)
    process.stdout.write(`${kills} kills, ${killsInAttempts} of them in an attempt, ${JSON.stringify(counts)}\n`)
  }, 400_000)
})
