import { setTimeout as delay } from 'node:timers/promises'
import { pick } from '../random.mjs'
import { coordinatorPartition } from './cluster.mjs'
import { createStarts } from '../starting.mjs'

/**
 * A leader's fault is due so often. One node is away at a time: a fault that is due earlier than the node before is in sync waits for
 * it, and those after it catch up.
 */
const leaderEveryMs = 10_000
/** A killed node starts for longer than most freezes last: with one kill in three faults, the others make good for it. */
const killEvery = 3
/** One fault in so many is of a node that coordinates, the others are of one that is published to. */
const coordinatingEvery = 4
/** From one fault of the other servers to the next one's: they overlap with those of Kafka. */
const othersEveryMs = 16_000
/** A killed server stays dead for so long, as under a supervisor that starts it again. */
const deadMs = { min: 200, max: 2_500 }
/** Some freezes are shorter than sessions (6 s) and requests (10 s) last, some are longer. */
const frozenMs = { min: 3_000, max: 12_000 }
/** However short a run is: a leader is killed and one frozen; each of the other servers fails once. */
const leadersMin = 2
const othersMin = 3
const startPauseMs = 1_000

/** What leads: partitions that are published to, and those that the relay and the groups are coordinated on. */
const leading = ['annals.users', 'annals.sessions', 'annals.payments'].flatMap((topic) =>
  Array.from({ length: 6 }, (_, partition) => ({ topic, partition })),
)
const coordinating = [
  { topic: '__transaction_state', partition: coordinatorPartition('annals.relay') },
  ...['annals.relay', 'annals.notifier', 'annals.projection'].map((group) => ({
    topic: '__consumer_offsets',
    partition: coordinatorPartition(group),
  })),
]

/**
 * What is done to the servers that are one of a kind, in turn. PostgreSQL is not frozen: SIGSTOP would reach its postmaster only.
 *
 * @type {{ server: string, how: 'crash' | 'kill' | 'restart' | 'freeze' }[]}
 */
const othersInTurn = [
  { server: 'postgres', how: 'crash' },
  { server: 'redis', how: 'kill' },
  { server: 'eventstore', how: 'kill' },
  { server: 'postgres', how: 'restart' },
  { server: 'redis', how: 'freeze' },
  { server: 'eventstore', how: 'freeze' },
  { server: 'postgres', how: 'kill' },
  { server: 'redis', how: 'restart' },
  { server: 'eventstore', how: 'restart' },
]

/** SIGQUIT is PostgreSQL's immediate shutdown: sessions are cut off, the next start recovers from its log. */
const signalOf = { crash: 'SIGQUIT', kill: 'SIGKILL', restart: 'SIGINT' }

/**
 * @typedef {object} Outage
 * @property {string} server `kafka` for each of its nodes
 * @property {string} node name of the process
 * @property {'crash' | 'kill' | 'restart' | 'freeze'} how
 * @property {string} [led] what the node led
 * @property {number} at epoch ms
 * @property {number} awayMs until it was let go on, or ready again
 * @property {number} [inSyncMs] until all replicas were in sync again
 */

/**
 * Faults of servers for some minutes: every 10 s a Kafka node that leads something is killed or frozen, and beside it the other
 * servers are killed, restarted and frozen in turn.
 *
 * @param {object} options
 * @param {number} options.ms how long new faults begin
 * @param {import('../../../dev/stack/native.mjs').Stack} options.stack
 * @param {ReturnType<import('./cluster.mjs').openCluster>} options.cluster
 * @param {() => number} options.random
 * @param {(text: string) => void} options.say
 * @param {AbortSignal} options.signal
 * @returns {Promise<{ outages: Outage[], failedStarts: string[] }>} when everything is up and in sync again
 * @throws when a server does not come up again
 */
export async function runOutages({ ms, stack, cluster, random, say, signal }) {
  /** @type {Outage[]} */
  const outages = []
  const { start, failedStarts } = createStarts({
    restart: (name) => stack.restart(name),
    kill: (name) => stack.kill(name),
    say,
    signal,
    startPauseMs,
  })
  const ending = Date.now() + ms
  const between = ({ min, max }) => min + random() * (max - min)

  /** @returns {Promise<Outage>} when it is up again */
  async function outage(server, node, how, led) {
    const at = Date.now()
    if (how === 'freeze') {
      stack.signal(node, 'SIGSTOP')
      try {
        await delay(between(frozenMs), undefined, { signal })
      } finally {
        stack.signal(node, 'SIGCONT')
      }
    } else {
      await stack.kill(node, signalOf[how])
      await delay(between(deadMs), undefined, { signal })
      await start(node)
    }
    const done = { server, node, how, led, at, awayMs: Date.now() - at }
    outages.push(done)
    return done
  }

  const rest = (begun, everyMs) => delay(Math.max(0, begun + everyMs - Date.now()), undefined, { signal })

  async function leaders() {
    const from = Date.now()
    for (let number = 0; number < leadersMin || Date.now() < ending; number++) {
      await rest(from, number * leaderEveryMs)
      const begun = Date.now()
      const { topic, partition } = pick(
        number % coordinatingEvery === coordinatingEvery - 1 ? coordinating : leading,
        random,
      )
      const node = await cluster.leaderOf(topic, partition)
      cluster.away.add(node)
      const how = number % killEvery === 0 ? 'kill' : 'freeze'
      const done = await outage('kafka', node, how, `${topic}/${partition}`)
      await cluster.inSync()
      done.inSyncMs = Date.now() - begun
      cluster.away.delete(node)
      say(`${node}, leader of ${done.led}: ${how}, ${done.awayMs} ms away, in sync after ${done.inSyncMs} ms`)
    }
  }

  async function others() {
    for (let number = 0; number < othersMin || Date.now() < ending; number++) {
      const begun = Date.now()
      const { server, how } = othersInTurn[number % othersInTurn.length]
      const { awayMs } = await outage(server, server, how)
      say(`${server}: ${how}, ${awayMs} ms away`)
      await rest(begun, othersEveryMs)
    }
  }

  const outcomes = await Promise.allSettled([leaders(), others()])
  const failed = outcomes.find(({ status }) => status === 'rejected')
  if (failed) throw failed.reason
  return { outages: outages.sort((one, other) => one.at - other.at), failedStarts }
}
