import { microsEach, startCpu } from '../cpu.mjs'
import { countRecords, createCopies, endOffsets, sum, withAdmin } from '../kafka.mjs'
import { watchGrowth } from '../quiet.mjs'
import { median, spread } from '../statistics.mjs'
import { divideWork, forgetPublished, startRelays, twoRoutes } from './routes.mjs'

/** Events of one transaction: the most that the relay takes, and what it takes while it catches up. */
const batch = 2_000
const bareRecordsMax = 60_000
/** No slower than this, or something is wrong. */
const eventsPerSecondMin = 1_000

/**
 * The relay process catches up on the whole log, from topics that do not exist yet, beside a bare transactional loop over
 * the same records that runs before and after it. Then two relays do the same, each a part of it.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ published: number }} history
 */
export async function measureRelay(scene, { published }) {
  const { env, signal, step, withLoad } = scene
  const brokers = env.KAFKA_BROKERS.split(',')
  const count = Math.min(published, bareRecordsMax)
  const order = { count, batch, groupId: 'bare.checkpoint', topic: 'bare.annals.payments' }
  await withAdmin(brokers, (admin) => createCopies(admin, 'bare.'))
  const measured = await withLoad(
    'transactions',
    { ...order, url: env.EVENTSTORE_URL, brokers, topicPrefix: 'bare.', transactionalId: 'bare.relay' },
    (transactions) =>
      step('Relay', async (update) => {
        const bare = async () => (await transactions.ask('run', order, 120_000)).perSecond
        update('warming up')
        await transactions.ask('run', { ...order, count: Math.min(count, 10_000) }, 60_000)
        update('bare transactions')
        transactions.cpuSeconds()
        const before = await bare()
        const relayed = await catchUp(scene, published, update)
        update('bare transactions')
        const rates = [before, await bare()]
        relayed.cpuMicros['bare transactions'] = microsEach(
          { bare: transactions.cpuSeconds() },
          rates.length * count,
        ).bare
        const value = { ...relayed, barePerSecond: median(rates), bareSpread: spread(rates) }
        return { value, text: `${Math.round(value.perSecond)}/s beside ${Math.round(value.barePerSecond)}/s` }
      }),
  )
  const assertPublished = async () => {
    const counted = await step('Topics', async () => {
      const value = await countRecords(brokers, { signal, withinMs: 120_000 })
      return { value, text: `${value.records.toLocaleString('en')} records` }
    })
    if (counted.records !== published || counted.outOfOrder !== 0)
      throw new Error(`${published} events were to be relayed; the topics have ${JSON.stringify(counted)}.`)
  }
  await assertPublished()
  const divided = await step('Relay, two routes', async (update) => {
    await forgetPublished(scene)
    await divideWork(scene, twoRoutes)
    const value = await timed(scene, published, update, () => startRelays(scene, twoRoutes))
    // One relay goes on from where these stand.
    await divideWork(scene, [])
    return { value, text: `${Math.round(value.perSecond)}/s` }
  })
  await assertPublished()
  return {
    ...measured,
    ratio: measured.perSecond / measured.barePerSecond,
    twoRoutesPerSecond: divided.perSecond,
    twoRoutesCpuMicros: divided.cpuMicros,
    twoRoutesOverOne: divided.perSecond / measured.perSecond,
    events: published,
  }
}

/**
 * Starts the relay and times it from the first record on the topics to the last one.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {number} published @param {(detail: string) => void} update
 */
export const catchUp = (scene, published, update) => timed(scene, published, update, () => scene.services(['relay']))

/** @param {() => Promise<{ stop: () => Promise<void> }>} start whoever publishes */
async function timed({ env, profile, signal }, published, update, start) {
  const cpu = startCpu(profile)
  const relays = await start()
  try {
    return await withAdmin(env.KAFKA_BROKERS.split(','), async (admin) => {
      const { value, first, ms } = await watchGrowth({
        sample: async () => sum(await endOffsets(admin)),
        least: published,
        withinMs: 60_000 + (published / eventsPerSecondMin) * 1_000,
        signal,
        onProgress: (offset) => update(`${Math.min(99, Math.round((offset / published) * 100))} %`),
      })
      // Offsets count markers as well; they lie evenly between the records.
      return { perSecond: (published * (1 - first / value)) / (ms / 1_000), cpuMicros: microsEach(cpu(), published) }
    })
  } finally {
    await relays.stop()
  }
}
