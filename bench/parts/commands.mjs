import { createRequire } from 'node:module'
import { addUp, microsEach, startCpu } from '../cpu.mjs'
import { signIn } from '../people.mjs'
import { median, spread } from '../statistics.mjs'

const { BACKWARDS, END, EventStoreDBClient } = createRequire(import.meta.url)('@eventstore/db-client')

const concurrency = 64
const people = 16
const phases = 5
const phaseMs = 3_000
const warmUpMs = 3_000
/** A phase, and its last answers. */
const phaseMsMax = phaseMs + 30_000

/**
 * Commands per second through the command API, beside single appends of the bare client, in turn.
 * Nothing else runs meanwhile: the API, the event store and one load process at a time.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 */
export async function measureCommands({ env, profile, services, withLoad, step }) {
  const api = await services(['command'])
  try {
    return await withLoad('commands', { url: api.urls.command, connections: concurrency }, (commands) =>
      withLoad('appends', { url: env.EVENTSTORE_URL }, async (appends) => {
        const tokens = await signIn(api.urls.command, people)
        const begin = await headOf(env.EVENTSTORE_URL)
        let acknowledged = 0
        const command = async (forMs) => {
          const { perSecond, total } = await commands.ask('run', { tokens, concurrency, forMs }, phaseMsMax)
          acknowledged += total
          return perSecond
        }
        let event
        const append = async (forMs) => {
          // Not of a category that is published: bare appends are no payments.
          const order = { event, category: 'bench', concurrency, forMs }
          return (await appends.ask('run', order, phaseMsMax)).perSecond
        }
        const rates = await step('Commands', async (update) => {
          update('warming up')
          await command(warmUpMs)
          ;({ last: event } = await createdPayments(env.EVENTSTORE_URL, begin))
          await append(warmUpMs)
          const through = []
          let timed = 0
          let appended = 0
          const cpu = {}
          const bareCpu = {}
          const bare = []
          for (let phase = 1; phase <= phases; phase++) {
            update(`phase ${phase} of ${phases}`)
            const used = startCpu(profile)
            const before = acknowledged
            commands.cpuSeconds()
            appends.cpuSeconds()
            through.push(await command(phaseMs))
            addUp(cpu, { ...used(), load: commands.cpuSeconds() })
            timed += acknowledged - before
            bare.push(await append(phaseMs))
            addUp(bareCpu, { 'bare appends': appends.cpuSeconds() })
            appended += (bare.at(-1) * phaseMs) / 1_000
          }
          return {
            value: { through, bare, cpuMicros: { ...microsEach(cpu, timed), ...microsEach(bareCpu, appended) } },
            text: `${Math.round(median(through))}/s beside ${Math.round(median(bare))}/s`,
          }
        })
        const recorded = (await createdPayments(env.EVENTSTORE_URL, begin)).count
        if (recorded !== acknowledged)
          throw new Error(`${acknowledged} commands were acknowledged, but the log has ${recorded} of them.`)
        return {
          perSecond: median(rates.through),
          barePerSecond: median(rates.bare),
          // Of neighbours in time: what else the machine did fell on both.
          ratio: median(rates.through.map((rate, i) => rate / rates.bare[i])),
          spread: spread(rates.through),
          bareSpread: spread(rates.bare),
          acknowledged,
          cpuMicros: rates.cpuMicros,
        }
      }),
    )
  } finally {
    await api.stop()
  }
}

async function withClient(url, work) {
  const client = EventStoreDBClient.connectionString(url)
  try {
    return await work(client)
  } finally {
    await client.dispose()
  }
}

/** Where the log ends now: the position of its last event. */
const headOf = (url) =>
  withClient(url, async (client) => {
    for await (const { event } of client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1 }))
      return event.position
    throw new Error('the log is empty')
  })

/** Payments created after a position, and the event of the last one: what a bare append writes as well. */
const createdPayments = (url, after) =>
  withClient(url, async (client) => {
    let count = 0
    let last
    for await (const { event } of client.readAll({ fromPosition: after })) {
      if (event?.type !== 'payment.created' || !event.streamId.startsWith('payment-')) continue
      if (event.position.commit <= after.commit) continue
      count += 1
      last = event
    }
    return { count, last: last && { type: last.type, data: last.data, metadata: last.metadata } }
  })
