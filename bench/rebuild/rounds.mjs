import { addUp, microsEach, startCpu } from '../cpu.mjs'
import { median, spread } from '../statistics.mjs'
import { replay } from './cli.mjs'

/**
 * Rebuilds in turn with bare reads of the same log.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {object} options
 * @param {number} options.rounds
 * @param {string[]} options.one what is rebuilt in each round
 * @param {string[]} [options.together] rebuilt as well in each round, right after it
 * @param {(detail: string) => void} update
 */
export async function measureRounds(scene, { rounds, one, together }, update) {
  const { env, profile, withLoad } = scene
  return withLoad('reads', { url: env.EVENTSTORE_URL }, async (reads) => {
    const bare = []
    const read = async () => {
      update('bare read')
      const { events, perSecond } = await reads.ask('run', {}, 900_000)
      bare.push(perSecond)
      return events
    }
    const runs = []
    const cpu = {}
    const runsTogether = []
    const cpuTogether = {}
    const rebuild = async (projections, into, used) => {
      const others = startCpu(profile)
      const run = await replay(scene, projections, { events })
      into.push(run)
      addUp(used, { replay: run.cpuSeconds, ...others() })
    }
    const events = await read()
    for (let round = 1; round <= rounds; round++) {
      update(`round ${round} of ${rounds}: ${one.join(', ')}`)
      await rebuild(one, runs, cpu)
      if (together) {
        update(`round ${round} of ${rounds}: ${together.join(', ')}`)
        await rebuild(together, runsTogether, cpuTogether)
      }
      await read()
    }
    const seconds = runs.map((run) => run.seconds)
    const rates = seconds.map((each) => events / each)
    const every = [...runs, ...runsTogether]
    return {
      events,
      perSecond: median(rates),
      barePerSecond: median(bare),
      // Beside the reads just before and just after: what else the machine did fell on both.
      ratio: median(rates.map((rate, i) => rate / ((bare[i] + bare[i + 1]) / 2))),
      spread: spread(rates),
      bareSpread: spread(bare),
      seconds: median(seconds),
      ...(together && { threeOverOne: median(runsTogether.map((run, i) => run.seconds / seconds[i])) }),
      peakRssMb: Math.max(...every.map((run) => run.peakRssMb)),
      swapLockMs: Math.max(...every.map((run) => run.swapLockMs)),
      cpuMicros: {
        ...microsEach(cpu, rounds * events),
        ...microsEach({ 'bare read': reads.cpuSeconds() }, bare.length * events),
      },
      ...(together && { cpuMicrosTogether: microsEach(cpuTogether, rounds * events) }),
    }
  })
}
