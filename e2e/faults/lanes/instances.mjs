import { setTimeout as delay } from 'node:timers/promises'
import { between } from './moments.mjs'
import { createStarts } from '../starting.mjs'

/** Beside the one that every system has. */
const moreInstances = 2
/** From an instance's start to what happens to it: the group comes together, reads, and is disturbed again. */
const upMs = { min: 4_000, max: 14_000 }
/** A killed or stopped instance stays away for so long, as under a supervisor. */
const deadMs = { min: 100, max: 3_000 }
/** Some freezes are shorter than a session (6 s) and a transaction that stands still (10 s) last, some are longer. */
const frozenMs = { min: 1_000, max: 14_000 }

/** What happens to an instance, in turn; each instance begins with another one. */
const ways = ['kill', 'freeze', 'stop']

/**
 * Kills, freezes and stops instances of the projector, each on its own, and lets them go on. Resolves when all are up.
 *
 * @param {object} options
 * @param {import('../../../dev/stack/services.mjs').Services} options.services
 * @param {number} options.ending epoch ms
 * @param {() => number} options.random
 * @param {(text: string) => void} options.say
 * @param {AbortSignal} options.signal
 * @returns {Promise<{ by: Record<string, number>, ended: string[], failedStarts: string[] }>} `ended`: by themselves
 */
export async function runInstances({ services, ending, random, say, signal }) {
  const by = Object.fromEntries(ways.map((how) => [how, 0]))
  const ended = []
  const { start, failedStarts } = createStarts({
    restart: (name) => services.restart(name),
    kill: (name) => services.kill(name),
    say,
    signal,
  })

  async function harm(name, how) {
    if (how === 'freeze') {
      services.signal(name, 'SIGSTOP')
      try {
        await delay(between(frozenMs, random), undefined, { signal })
      } finally {
        services.signal(name, 'SIGCONT')
      }
      return
    }
    await services.kill(name, how === 'kill' ? 'SIGKILL' : 'SIGTERM')
    await delay(between(deadMs, random), undefined, { signal })
    await start(name)
  }

  async function live(name, first) {
    for (let number = first; number === first || Date.now() < ending; number++) {
      const how = ways[number % ways.length]
      const exit = await Promise.race([
        services.exit(name),
        delay(between(upMs, random), undefined, { signal }).then(() => undefined),
      ])
      if (exit === undefined) {
        await harm(name, how)
        by[how] += 1
      } else {
        ended.push(`${name}: ${exit}`)
        say(`${name} has ended by itself (${exit}); it is started again`)
        await start(name)
      }
    }
  }

  const names = ['projector']
  for (let more = 0; more < moreInstances; more++) names.push(await services.another('projector'))
  const outcomes = await Promise.allSettled(names.map(live))
  const failed = outcomes.find(({ status }) => status === 'rejected')
  if (failed) throw failed.reason
  return { by, ended, failedStarts }
}
