import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../dev/profile.mjs'
import { addUp, cpuSecondsOf, microsEach, startCpu } from '../cpu.mjs'
import { median, spread } from '../statistics.mjs'

const rounds = 3
const projection = 'payments'
const cli = join(root, 'projection-service/dist/replay/main.js')
/** No slower than this, or something is wrong. */
const eventsPerSecondMin = 1_500

/**
 * `replay payments` over the whole log, from the start of its process to its end: fold, verification against the live read
 * model and swap included. Beside it a bare read of the same log, before, between and after. Relay and projector run, with
 * nothing to do.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 */
export async function measureReplay(scene) {
  const { env, profile, services, step, withLoad } = scene
  const running = await services(['relay', 'projector'])
  try {
    return await withLoad('reads', { url: env.EVENTSTORE_URL }, (reads) =>
      step('Replay', async (update) => {
        const bare = []
        const read = async () => {
          update('bare read')
          const { events, perSecond } = await reads.ask('run', {}, 300_000)
          bare.push(perSecond)
          return events
        }
        const events = await read()
        const seconds = []
        const cpu = {}
        for (let round = 1; round <= rounds; round++) {
          update(`replay ${round} of ${rounds}`)
          const used = startCpu(profile)
          const replayed = await replay(scene, Math.ceil(60_000 + (events / eventsPerSecondMin) * 1_000))
          seconds.push(replayed.seconds)
          addUp(cpu, { replay: replayed.cpuSeconds, ...used() })
          await read()
        }
        const rates = seconds.map((each) => events / each)
        const value = {
          perSecond: median(rates),
          barePerSecond: median(bare),
          // Beside the reads just before and just after: what else the machine did fell on both.
          ratio: median(rates.map((rate, i) => rate / ((bare[i] + bare[i + 1]) / 2))),
          spread: spread(rates),
          bareSpread: spread(bare),
          seconds: median(seconds),
          events,
          cpuMicros: {
            ...microsEach(cpu, rounds * events),
            ...microsEach({ 'bare read': reads.cpuSeconds() }, bare.length * events),
          },
        }
        return { value, text: `${Math.round(value.perSecond)}/s beside ${Math.round(value.barePerSecond)}/s` }
      }),
    )
  } finally {
    await running.stop()
  }
}

/** @returns {Promise<{ seconds: number, cpuSeconds: number }>} from its start to its end; CPU of its own process */
async function replay({ env, profile, signal, nodeOptions }, withinMs) {
  const log = join(profile.logs, 'replay.log')
  const output = openSync(log, 'a')
  const begunAt = performance.now()
  const child = spawn(process.execPath, [cli, projection], {
    cwd: root,
    env: { ...process.env, ...env, ...nodeOptions, POSTGRES_ADMIN_URL: undefined },
    stdio: ['ignore', output, output],
    timeout: withinMs,
    killSignal: 'SIGKILL',
    signal,
  })
  closeSync(output)
  let cpuSeconds = 0
  const watch = setInterval(() => {
    cpuSeconds = cpuSecondsOf(child.pid) ?? cpuSeconds
  }, 50)
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (status, signalName) => resolve(signalName ?? status))
  }).finally(() => clearInterval(watch))
  if (code !== 0) throw new Error(`replay ${projection} ended with ${code}; its output: ${log}`)
  return { seconds: (performance.now() - begunAt) / 1_000, cpuSeconds }
}
