import { spawn } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../dev/profile.mjs'
import { cpuSecondsOf } from '../cpu.mjs'
import { swapLockMsOf } from './output.mjs'

const cli = join(root, 'projection-service/dist/replay/main.js')
/** No slower than this, or something is wrong. */
const eventsPerSecondMin = 1_500
/** Between looks at the process: the last one misses this much of its CPU time at most. */
const sampleMs = 50

/**
 * One run of the replay CLI, from the start of its process to its end. It has a session of its own, as a job has:
 * otherwise a throttled one would not give way to the services.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {string[]} projections
 * @param {{ events: number, throttle?: number }} options `events` in the log: they bound how long it may take
 * @returns {Promise<{ seconds: number, cpuSeconds: number, peakRssMb: number, swapLockMs: number }>} CPU and peak memory of
 *   its own process, threads included; the longest that projectors waited for a swap
 * @throws when it ends with another exit code than 0
 */
export async function replay({ env, profile, signal, nodeOptions }, projections, { events, throttle }) {
  const log = join(profile.logs, 'replay.log')
  const withinMs = 240_000 + (events / Math.min(eventsPerSecondMin, throttle ?? eventsPerSecondMin)) * 1_000
  const begunAt = performance.now()
  const child = spawn(process.execPath, [cli, ...projections, ...(throttle ? ['--throttle', String(throttle)] : [])], {
    cwd: root,
    env: { ...process.env, ...env, ...nodeOptions, POSTGRES_ADMIN_URL: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    timeout: Math.ceil(withinMs),
    killSignal: 'SIGKILL',
    signal,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
      appendFileSync(log, text)
    })
  }
  let cpuSeconds = 0
  let peakRssMb = 0
  const watch = setInterval(() => {
    cpuSeconds = cpuSecondsOf(child.pid) ?? cpuSeconds
    peakRssMb = peakRssMbOf(child.pid) ?? peakRssMb
  }, sampleMs)
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signalName) => resolve(signalName ?? status))
  }).finally(() => clearInterval(watch))
  const seconds = (performance.now() - begunAt) / 1_000
  if (code !== 0) throw new Error(`replay ${projections.join(' ')} ended with ${code}; its output: ${log}`)
  const swapLockMs = swapLockMsOf(output)
  if (swapLockMs.length !== projections.length)
    throw new Error(`replay ${projections.join(' ')} told ${swapLockMs.length} swaps; its output: ${log}`)
  return { seconds, cpuSeconds, peakRssMb, swapLockMs: Math.max(...swapLockMs) }
}

/** The kernel's own high-water mark, so nothing between two looks is missed. @returns {number | undefined} MB (10^6 bytes) */
function peakRssMbOf(pid) {
  try {
    const kb = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kb === undefined ? undefined : (Number(kb) * 1_024) / 1e6
  } catch {
    return undefined
  }
}
