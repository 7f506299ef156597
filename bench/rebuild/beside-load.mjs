import { setTimeout as delay } from 'node:timers/promises'
import { fillLog } from '../log/fill.mjs'
import { catchUp } from '../parts/relay.mjs'
import { measureProjection } from '../parts/projection.mjs'
import { signIn } from '../people.mjs'
import { median, percentile, spread } from '../statistics.mjs'
import { replay } from './cli.mjs'

const commandsPerSecond = 100
const queriesPerSecond = 100
/** Events a second that the rebuild may read: a twenty-fifth of what it can, and a million in a quarter of an hour. */
const throttle = 1_000
/** All of this history goes through Kafka first, as it would have in the system's life; so it is not a million. */
const eventsMax = 60_000
const windowMsMin = 15_000
/** Of a rebuild, beside the throttled reading: start, indexes, verification, swap. */
const restMs = 4_000
/** In the small form, which is for trying, fewer. */
const pairsOf = (events) => (events < 50_000 ? 2 : 4)
/** The services' code is compiled as it is used: p99 of the first minute is twice that of later ones. */
const warmUpMs = 60_000
const people = 16
const paymentsEach = 10
/** A load that comes late is not the load it says it is: above this the figures say nothing. */
const lateP99MsMax = 50

/**
 * As long as a rebuild of so many events will take, with those that arrive in the two windows of its pair.
 *
 * @param {number} payments events that the rebuild will read
 */
const windowMsFor = (payments) =>
  Math.max(windowMsMin, ((payments / throttle) * 1_000 + restMs) / (1 - (2 * commandsPerSecond) / throttle))

const p99 = (ms) => percentile(ms, 0.99)

/**
 * Queries of a system in use, with a throttled rebuild beside them and without, in turn. A window is as long as a rebuild, so
 * that all of it falls into one: start, reading, indexes, comparison and swap. The p99 is that of all windows of a kind together: of
 * one window it rests on a few bursts, and windows without any rebuild differ by half.
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
        let payments = history.payments + known.length
        const window = async (seed, forMs) => {
          const order = { known, commandsPerSecond, queriesPerSecond, forMs, seed }
          const loaded = await live.ask('run', order, forMs + 60_000)
          payments += loaded.commandMs.length
          return loaded
        }
        update('warming up')
        await window(5, warmUpMs)
        const pairs = pairsOf(wanted)
        const without = []
        const beside = []
        const rebuilds = []
        const measure = {
          async without(pair, windowMs) {
            without.push(await window(10 + pair, windowMs))
          },
          async 'beside a rebuild'(pair, windowMs) {
            const [loaded, rebuilt] = await Promise.all([
              window(10 + pair, windowMs),
              replay(scene, ['payments'], { events: history.events, throttle }),
            ])
            beside.push(loaded)
            rebuilds.push({ ...rebuilt, windowMs })
          },
        }
        for (let pair = 1; pair <= pairs; pair++) {
          const windowMs = windowMsFor(payments)
          // Every other pair the other way round: what the machine becomes meanwhile is to favour neither.
          for (const name of pair % 2 === 1 ? Object.keys(measure) : Object.keys(measure).toReversed()) {
            update(`pair ${pair} of ${pairs}: ${name}`)
            await measure[name](pair, windowMs)
          }
        }
        // Of both windows of a pair, the queries of the time that its rebuild took: what came after it would thin it out.
        const meanwhile = ({ queries }, pair) =>
          queries.filter(({ dueMs }) => dueMs < rebuilds[pair].seconds * 1_000).map(({ ms }) => ms)
        const msWithout = without.map(meanwhile)
        const msBeside = beside.map(meanwhile)
        const value = {
          queryP99Growth: p99(msBeside.flat()) / p99(msWithout.flat()),
          queryP50Growth: median(msBeside.flat()) / median(msWithout.flat()),
          queryP99Ms: p99(msWithout.flat()),
          queryP99BesideMs: p99(msBeside.flat()),
          queryP99GrowthOfPairs: msBeside.map((ms, pair) => p99(ms) / p99(msWithout[pair])),
          queryP99Spread: spread(msWithout.map(p99)),
          queries: msBeside.flat().length,
          commandP99Ms: p99(without.flatMap(({ commandMs }) => commandMs)),
          commandP99BesideMs: p99(beside.flatMap(({ commandMs }) => commandMs)),
          lateP99Ms: Math.max(...[...without, ...beside].map(({ lateMs }) => p99(lateMs))),
          throttle,
          throttledSeconds: median(rebuilds.map(({ seconds }) => seconds)),
          // Of the rebuild's time, what fell into its window; the least of the pairs.
          windowShare: Math.min(...rebuilds.map(({ seconds, windowMs }) => Math.min(1, windowMs / 1_000 / seconds))),
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
