import { setTimeout as delay } from 'node:timers/promises'
import { microsEach, startCpu } from '../cpu.mjs'
import { signIn } from '../people.mjs'
import { percentile } from '../statistics.mjs'

const forMs = 30_000
const warmUpMs = 8_000
const people = 16
/** Load that comes late is no load of so many a second: above this the figures say nothing. */
const lateP99MsMax = 50

/**
 * From a command's 201 to the query answer that shows it, at 100 and at 200 commands a second: command API, relay, projector and query
 * API run as they do in the system.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 */
export async function measureVisible(scene) {
  const at = (perSecond) =>
    scene.step(`Ack to visible at ${perSecond}/s`, async (update) => {
      const value = await loadVisible(scene, { perSecond, forMs, update })
      const text = `p50 ${Math.round(value.p50Ms)} ms, p99 ${Math.round(value.p99Ms)} ms`
      return { value, text: value.lateP99Ms > lateP99MsMax ? `${text} (load was late)` : text }
    })
  const measured = await at(100)
  const { p50Ms, p99Ms, cpuMicros } = await at(200)
  const totalMicros = Object.entries(measured.cpuMicros).reduce(
    (all, [name, each]) => all + (name === 'load' ? 0 : each),
    0,
  )
  return { ...measured, totalMicros, at200: { p50Ms, p99Ms, cpuMicros }, at200P99Ms: p99Ms }
}

/**
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ perSecond: number, forMs: number, update: (detail: string) => void, env?: { BENCH_READ_MODELS?: string } }} options
 */
export async function loadVisible({ profile, services, withLoad, signal }, { perSecond, forMs, update, env = {} }) {
  const running = await services(['command', 'relay', 'projector', 'query'], env)
  try {
    const tokens = await signIn(running.urls.command, people)
    const urls = { commandUrl: running.urls.command, queryUrl: running.urls.query }
    return await withLoad('arrivals', urls, async (arrivals) => {
      const order = { tokens, perSecond }
      update('warming up')
      await arrivals.ask('run', { ...order, forMs: warmUpMs, seed: 3 }, warmUpMs + 60_000)
      await delay(500, undefined, { signal })
      update(`${perSecond} commands/s for ${forMs / 1_000} s`)
      arrivals.cpuSeconds()
      const cpu = startCpu(profile)
      const { visibleMs, ackMs, lateMs, retries } = await arrivals.ask(
        'run',
        { ...order, forMs, seed: 4 },
        forMs + 60_000,
      )
      return {
        p50Ms: percentile(visibleMs, 0.5),
        p99Ms: percentile(visibleMs, 0.99),
        maxMs: Math.max(...visibleMs),
        ackP50Ms: percentile(ackMs, 0.5),
        ackP99Ms: percentile(ackMs, 0.99),
        lateP99Ms: percentile(lateMs, 0.99),
        commands: visibleMs.length,
        retries,
        cpuMicros: microsEach({ ...cpu(), load: arrivals.cpuSeconds() }, visibleMs.length),
      }
    })
  } finally {
    await running.stop()
  }
}
