import { setTimeout as delay } from 'node:timers/promises'
import { fillLog } from '../log/fill.mjs'
import { catchUp } from '../parts/relay.mjs'
import { measureProjection } from '../parts/projection.mjs'
import { signIn } from '../people.mjs'
import { median, percentile } from '../statistics.mjs'
import { replay } from './cli.mjs'

const commandsPerSecond = 100
const queriesPerSecond = 100
/** Events a second that the rebuild may read: a twenty-fifth of what it can, and a million in a quarter of an hour. */
const throttle = 1_000
/** All of this history goes through Kafka first, as it would have in the system's life; so it is not a million. */
const eventsMax = 25_000
const windowMsMin = 15_000
/** The payments that the load itself makes until the last window are rebuilt as well. */
const loadShare = 1.8
/** Of a rebuild, beside the throttled reading: start, indexes, verification, swap. */
const restMs = 4_000
/** In the small form, which is for trying, fewer. */
const pairsOf = (events) => (events < 50_000 ? 2 : 4)
/** The services' code is compiled as it is used; an answer of the first seconds takes twice as long as one of later. */
const warmUpMs = 20_000
const people = 16
const paymentsEach = 10
/** A load that comes late is not the load it says it is: above this the figures say nothing. */
const lateP99MsMax = 50

/**
 * Queries of a system in use, with a throttled rebuild beside them and without, in turn. A window is as long as a rebuild, so
 * that all of it falls into one: reading, indexes, comparison and swap.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ events: number }} options
 */
export async function measureBesideLoad(scene, { events: wanted }) {
  const { services, withLoad, step, signal } = scene
  const history = await fillLog(scene, Math.min(wanted, eventsMax))
  await step('Relay', async (update) => {
    await catchUp(scene, history.published, update)
    return { text: 'not measured' }
  })
  await measureProjection(scene, history)
  const running = await services(['command', 'relay', 'projector', 'query'])
  try {
    const tokens = await signIn(running.urls.command, people)
    return await withLoad('live', { commandUrl: running.urls.command, queryUrl: running.urls.query }, (live) =>
      step('Queries beside a rebuild', async (update) => {
        const known = await live.ask('prepare', { tokens, each: paymentsEach }, 60_000)
        // All of it projected: what is asked for is there.
        await delay(2_000, undefined, { signal })
        const windowMs = Math.max(windowMsMin, (history.payments / throttle) * 1_000 * loadShare + restMs)
        const window = (seed, forMs) =>
          live.ask('run', { known, commandsPerSecond, queriesPerSecond, forMs, seed }, forMs + 60_000)
        update('warming up')
        await window(5, warmUpMs)
        const pairs = pairsOf(wanted)
        const without = []
        const beside = []
        const rebuilds = []
        const measure = {
          async without(pair) {
            without.push(await window(10 + pair, windowMs))
          },
          async 'beside a rebuild'(pair) {
            const [loaded, rebuilt] = await Promise.all([
              window(10 + pair, windowMs),
              replay(scene, ['payments'], { events: history.events, throttle }),
            ])
            beside.push(loaded)
            rebuilds.push(rebuilt)
          },
        }
        for (let pair = 1; pair <= pairs; pair++) {
          // Every other pair the other way round: what the machine becomes meanwhile is to favour neither.
          for (const name of pair % 2 === 1 ? Object.keys(measure) : Object.keys(measure).toReversed()) {
            update(`pair ${pair} of ${pairs}: ${name}`)
            await measure[name](pair)
          }
        }
        const p99 = ({ queryMs }) => percentile(queryMs, 0.99)
        const value = {
          queryP99Growth: median(beside.map((each, i) => p99(each) / p99(without[i]))),
          queryP99Ms: median(without.map(p99)),
          queryP99BesideMs: median(beside.map(p99)),
          commandP99Ms: median(without.map(({ commandMs }) => percentile(commandMs, 0.99))),
          commandP99BesideMs: median(beside.map(({ commandMs }) => percentile(commandMs, 0.99))),
          lateP99Ms: Math.max(...[...without, ...beside].map(({ lateMs }) => percentile(lateMs, 0.99))),
          throttle,
          throttledSeconds: median(rebuilds.map(({ seconds }) => seconds)),
          windowSeconds: windowMs / 1_000,
          swapLockMs: Math.max(...rebuilds.map(({ swapLockMs }) => swapLockMs)),
          peakRssMb: Math.max(...rebuilds.map(({ peakRssMb }) => peakRssMb)),
        }
        const text = `p99 ${value.queryP99BesideMs.toFixed(1)} ms beside ${value.queryP99Ms.toFixed(1)} ms`
        return { value, text: value.lateP99Ms > lateP99MsMax ? `${text} (load was late)` : text }
      }),
    )
  } finally {
    await running.stop()
  }
}
