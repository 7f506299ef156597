import { describe, expect, it } from '@jest/globals'
import { eventually, testScope } from '@annals/platform/testing'
import { people, registered } from '../support/facts'
import { notifierProcesses } from '../support/notifier-processes'
import { attempts, deliveries } from '../support/notifier'

const hourMs = 3_600_000
const waitSeconds = 3

const scope = testScope()

describe.each([
  ['ahead of', 5 * 24 * hourMs],
  ['behind', -5 * 24 * hourMs],
])('a notifier whose clock is five days %s the database’s', (_, clockShiftMs) => {
  it('skips what is too old and nothing else, and repeats when it is time', async () => {
    const { pool, topics, mail, start } = await notifierProcesses(scope, { MAIL_RETRY_SECONDS: `${waitSeconds},1` })
    const crowd = people()
    const ago = (ms: number) => new Date(Date.now() - ms).toISOString()
    const fresh = registered(crowd, {}, { at: ago(0) })
    const admitted = registered(crowd, {}, { at: ago(71 * hourMs) })
    const old = registered(crowd, {}, { at: ago(73 * hourMs) })
    const putOff = registered(crowd, {}, { at: ago(0) })
    await crowd.save(pool)
    await mail.fail('defer', 1, putOff.email)
    start({ clockShiftMs })
    await topics.publish([fresh, admitted, old, putOff])

    await eventually(
      async () => {
        const states = (await deliveries(pool)).map(({ recipient, state, attempts }) => [recipient, state, attempts])
        expect(states.toSorted()).toEqual(
          [
            [fresh.userId, 'accepted', 1],
            [admitted.userId, 'accepted', 1],
            [old.userId, 'skipped', 0],
            [putOff.userId, 'accepted', 2],
          ].toSorted(),
        )
      },
      { withinMs: 40_000 },
    )
    const [delivery] = await deliveries(pool, putOff.userId)
    const [first, second] = (await attempts(pool, delivery!.id)).map(({ started_at }) => Date.parse(started_at))
    expect(second! - first!).toBeGreaterThanOrEqual(waitSeconds * 1_000)
  }, 90_000)
})
