import { describe, expect, it } from '@jest/globals'
import { AssignerProtocol, Kafka, logLevel } from 'kafkajs'
import { pause } from '@annals/platform/backoff'
import { eventually, requireEnv, testScope, type TestProcess } from '@annals/platform/testing'
import { allAccepted, expectEachMailOnce } from '../support/each-mail-once'
import { failed, people, processed, registered } from '../support/facts'
import { notifierProcesses } from '../support/notifier-processes'
import { partitions } from '../support/servers'

/** Groups settle in some ten seconds; on a machine that is busy with other things it takes its time. */
const withinMs = 120_000
const stepEveryMs = 2_500

const scope = testScope('file')

/** How many partitions each member of the group holds. */
async function shares(group: string): Promise<number[]> {
  const admin = new Kafka({
    brokers: requireEnv('KAFKA_BROKERS').split(','),
    clientId: 'test',
    logLevel: logLevel.NOTHING,
  }).admin()
  await admin.connect()
  try {
    const { groups } = await admin.describeGroups([group])
    return groups[0]!.members.map(({ memberAssignment }) => {
      const held = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {}
      return Object.values(held).flat().length
    })
  } finally {
    await admin.disconnect()
  }
}

describe('several notifiers', () => {
  it(
    'record each mail once and send it, while instances join, leave, are killed and freeze every few seconds',
    async () => {
      const { pool, topics, mail, group, start } = await notifierProcesses(scope)
      const running: TestProcess[] = []
      const frozen: TestProcess[] = []
      const attemptsOf = async ({ pid }: TestProcess) =>
        Number(
          (await pool.query<{ n: bigint }>(`select count(*) as n from attempt where worker like $1`, [`${pid}-%`]))
            .rows[0]!.n,
        )

      const crowd = people()
      const intended = new Set<string>()
      const stopping = new AbortController()
      const flow = (async () => {
        while (!stopping.signal.aborted) {
          const user = registered(crowd)
          const facts = [processed(crowd, user.userId), user, failed(crowd, user.userId)]
          await crowd.save(pool)
          await topics.publish(facts)
          for (const { id } of facts) intended.add(id)
          await pause(100, stopping.signal)
        }
      })()
      // A test that fails before its end must not go on publishing.
      scope.add(stopping, async () => {
        stopping.abort()
        await flow.catch(() => undefined)
      })

      /** The oldest that is not frozen; it has sent something, so that what befalls it means something. */
      const atWork = async () => {
        const oldest = running.find((notifier) => !frozen.includes(notifier))!
        await eventually(async () => expect(await attemptsOf(oldest)).toBeGreaterThan(0), { withinMs })
        return oldest
      }
      const gone = async (signal: 'SIGTERM' | 'SIGKILL') => {
        const notifier = await atWork()
        running.splice(running.indexOf(notifier), 1)
        await notifier.end(signal)
      }
      const steps = {
        join: async () => void running.push(start()),
        leave: () => gone('SIGTERM'),
        kill: () => gone('SIGKILL'),
        freeze: async () => {
          const notifier = await atWork()
          notifier.signal('SIGSTOP')
          frozen.push(notifier)
        },
        thaw: async () => frozen.shift()!.signal('SIGCONT'),
      }
      // A frozen one sleeps for six steps: longer than its membership (6 s) and the leases of what it had in hand (10 s) last.
      const order = 'join join join kill freeze join leave join kill join thaw leave'.split(' ')
      for (const step of order as (keyof typeof steps)[]) {
        await steps[step]()
        await pause(stepEveryMs)
      }
      stopping.abort()
      await flow

      await allAccepted(pool, intended, withinMs)
      const counts = await expectEachMailOnce(pool, mail, intended)
      await eventually(
        async () => {
          const held = await shares(group)
          expect(held.filter((count) => count > 0)).toHaveLength(running.length)
          expect(held.reduce((sum, count) => sum + count, 0)).toBe(3 * partitions)
        },
        { withinMs },
      )
      // All of that did meet work.
      expect(intended.size).toBeGreaterThan(300)
      process.stdout.write(`${order.length} changes, ${intended.size} intended, ${JSON.stringify(counts)}\n`)
    },
    5 * withinMs,
  )
})
