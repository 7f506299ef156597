import { readdirSync, readFileSync } from 'node:fs'
import { allRunning } from '../dev/stack/processes.mjs'

/** Linux counts in hundredths of a second, whatever its kernel's own tick is. */
const ticksPerSecond = 100

/** @returns {{ ppid: number, own: number, ended: number } | undefined} CPU time in ticks, its own and of children that ended */
function readStat(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number)
    return { ppid: Number(fields[1]), own: utime + stime, ended: cutime + cstime }
  } catch {
    return undefined
  }
}

/** @param {number} pid @returns {number | undefined} CPU seconds of one process so far; undefined once it has ended */
export function cpuSecondsOf(pid) {
  const stat = readStat(pid)
  return stat && stat.own / ticksPerSecond
}

/**
 * @param {Record<string, number>} seconds by process @param {number} count of whatever was done in them
 * @returns {Record<string, number>} microseconds for each, the largest first; what has used less than one is left out
 */
export function microsEach(seconds, count) {
  const micros = Object.entries(seconds).map(([name, used]) => [name, Math.round((used / count) * 1e6)])
  return Object.fromEntries(micros.filter(([, each]) => each > 0).toSorted(([, a], [, b]) => b - a))
}

/** @param {Record<string, number>} total @param {Record<string, number>} more is added to it, by name */
export function addUp(total, more) {
  for (const [name, seconds] of Object.entries(more)) total[name] = (total[name] ?? 0) + seconds
}

/**
 * CPU time that the profile's processes have used so far, with that of their children (PostgreSQL's connections). Unlike
 * time on the clock it hardly depends on what else the machine does.
 *
 * @param {import('../dev/profile.mjs').Profile} profile
 * @returns {Map<string, number>} seconds by process name; empty where the system does not tell (other than Linux)
 */
export function cpuSeconds(profile) {
  if (process.platform !== 'linux') return new Map()
  const running = new Map(allRunning(profile).map(({ pid, name }) => [pid, name]))
  const seconds = new Map()
  const add = (name, ticks) => seconds.set(name, (seconds.get(name) ?? 0) + ticks / ticksPerSecond)
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = readStat(entry)
    if (!stat) continue
    const itself = running.get(Number(entry))
    if (itself) add(itself, stat.own + stat.ended)
    else if (running.has(stat.ppid)) add(running.get(stat.ppid), stat.own)
  }
  return seconds
}

/**
 * @param {import('../dev/profile.mjs').Profile} profile
 * @returns {() => Record<string, number>} call it at the end: CPU seconds used since, by process
 */
export function startCpu(profile) {
  const before = cpuSeconds(profile)
  return () => Object.fromEntries([...cpuSeconds(profile)].map(([name, now]) => [name, now - (before.get(name) ?? 0)]))
}
