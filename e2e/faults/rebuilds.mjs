import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from '../../dev/profile.mjs'
import { pick, shuffled } from './random.mjs'

const program = join(root, 'projection-service/dist/replay/main.js')

/** A call of the command line that takes longer hangs: the largest folds some hundred thousand events. */
const callMsMax = 180_000
/** Calls of one rebuild: the killed ones, those that came too early, and the one that ends it. */
const callsMax = 60
/** A rebuild that was done before its kill came is made again, so often at most. */
const tooLateMax = 10
/** Between two looks at how a rebuild stands: its shortest stages take some ten milliseconds. */
const lookEveryMs = 8
/** Where nothing is to be killed. */
const lookSeldomMs = 50
/** After a call that was told to come again. */
const againMs = 100
/** The server notices a killed client's connection at once; a lock that stays longer than this was left behind. */
const lockMsMax = 5_000
/** Output of a failed call that is told. */
const outputMax = 600

/** In the order in which a rebuild goes through them. */
const stages = ['prepared', 'folding', 'catching-up', 'indexing', 'verifying', 'swapping']
/** Of a call that is to end by itself. */
const never = () => false
const exitCodes = { running: 4, busy: 5, unverified: 7 }

/**
 * What to rebuild, call by call: each read model in turn, one call in twelve several of them, one in twenty-five all.
 *
 * @param {number} count
 * @param {string[]} projections
 * @param {() => number} random
 * @returns {string[][]} projections of each call
 */
export function planRebuilds(count, projections, random) {
  const all = Math.ceil(count / 25)
  const several = Math.min(Math.ceil(count / 12), count - all)
  const some = () => shuffled(projections, random).slice(0, 2 + Math.floor(random() * 2))
  const turn = shuffled(projections, random)
  const calls = [
    ...Array.from({ length: all }, () => [...projections]),
    ...Array.from({ length: several }, some),
    ...Array.from({ length: count - all - several }, (_, i) => [turn[i % turn.length]]),
  ]
  return shuffled(calls, random)
}

/**
 * Rebuilds read models through the command line, kills it at random moments and calls it again until it has ended.
 *
 * Half of the first kills happen at a random moment of the time that such a rebuild takes. The other half are drawn
 * over its stages, so that short stages are hit as well.
 *
 * @param {object} options
 * @param {Record<string, string>} options.env
 * @param {import('pg').Client} options.db connected to the read models' database
 * @param {(text: string) => void} options.say
 * @param {number} options.events that a rebuild reads, about
 * @param {() => number} options.random
 * @param {AbortSignal} options.signal
 * @param {boolean} [options.mayBeOutside] a live read model may be out of the lane, where nothing is compared with it: what was counted
 *   a second time speaks for the new rows then, and where nothing was, none are taken
 */
export function createRebuilds({ env, db, say, events, random, signal, mayBeOutside = false }) {
  const counts = {
    rebuilds: 0,
    kills: 0,
    killsAt: Object.fromEntries(stages.map((stage) => [stage, 0])),
    killsTooLate: 0,
    verifiedEqual: 0,
    /** Calls right after a kill that were told that another rebuild is running, and for how long at most. */
    lockedOut: 0,
    lockedOutMsMax: 0,
    swapsBusy: 0,
    /** Those for which nothing spoke. */
    unverified: 0,
    /** In words. */
    failures: [],
  }
  function count(failure) {
    counts.rebuilds += 1
    if (!failure) counts.verifiedEqual += 1
    else {
      counts.failures.push(failure)
      say(`a rebuild failed: ${failure}`)
    }
  }

  function countKills(killed) {
    counts.kills += killed.length
    for (const stage of killed) counts.killsAt[stage] += 1
  }

  /** From the first sign of a rebuild of one read model to its end, as the last undisturbed one took it. */
  let aloneMs = 1_000 + (events / 20_000) * 1_000
  /** Several share one read of the log. */
  const factor = (projections) => 1 + 0.3 * (projections.length - 1)

  const rowsOf = async (projections) =>
    (
      await db.query(
        `select id, projection, state, report, updated_at as "updatedAt" from annals.rebuild
         where projection = any($1) order by started_at`,
        [projections],
      )
    ).rows

  /** Where a rebuild of several read models stands: at the furthest stage of one that is unfinished. */
  const stageOf = (rows) =>
    rows.map(({ state }) => state).reduce((a, b) => (stages.indexOf(b) > stages.indexOf(a) ? b : a), undefined)

  /** Draws when to kill: `reached` tells from how a rebuild stands whether the moment has come. */
  function drawKill(projections, first) {
    const share = first ? 1 : 0.4
    if (random() < 0.5) {
      const afterMs = random() * share * aloneMs * factor(projections)
      return (_, sinceMs) => sinceMs >= afterMs
    }
    const aim = pick(stages, random)
    const waitMs = random() < 0.5 ? 0 : random() * 200
    let reachedAt
    return (stage, sinceMs) => {
      if (stages.indexOf(stage) >= stages.indexOf(aim)) reachedAt ??= sinceMs
      return reachedAt !== undefined && sinceMs - reachedAt >= waitMs
    }
  }

  /**
   * One call of the command line, killed when `reached` says so of its stage and time.
   *
   * @returns {Promise<{ code: number | null, killedAt?: string, output: string, ms: number, workMs: number }>} `killedAt`:
   *   the stage that the kill met; `workMs`: since the first sign of the rebuild
   */
  async function call(projections, known, reached) {
    const begunAt = new Date()
    const child = spawn(process.execPath, [program, ...projections], {
      cwd: root,
      env: { ...process.env, ...env, POSTGRES_ADMIN_URL: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: callMsMax,
      killSignal: 'SIGKILL',
      signal,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (output = (output + chunk).slice(-outputMax)))
    const state = { ended: false, killed: false }
    const exit = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    }).finally(() => (state.ended = true))
    exit.catch(() => {})
    /** Unfinished ones that this call has made or gone on with. */
    const open = async () =>
      (await rowsOf(projections)).filter(
        ({ id, state: stage, updatedAt }) => stages.includes(stage) && !known.has(id) && new Date(updatedAt) >= begunAt,
      )
    let since
    while (!state.ended && !state.killed) {
      const stage = stageOf(await open())
      if (stage) since ??= performance.now()
      state.killed = !state.ended && stage !== undefined && reached(stage, performance.now() - since)
      if (state.killed) child.kill('SIGKILL')
      else await Promise.race([exit, delay(reached === never ? lookSeldomMs : lookEveryMs)])
    }
    const code = await exit
    signal.throwIfAborted()
    const ms = Date.now() - begunAt
    const workMs = since === undefined ? ms : performance.now() - since
    // The process may have ended by itself in between, or swapped with its last breath: then there is nothing to resume.
    const killedAt = state.killed && code === null ? stageOf(await open()) : undefined
    if (code === null && !state.killed)
      throw new Error(`replay ${projections.join(' ')} took more than ${callMsMax} ms`)
    return { code, killedAt, output, ms, workMs }
  }

  /**
   * One rebuild to its end.
   *
   * @param {string[]} projections
   * @param {number} killsMax
   * @returns {Promise<{ kills: string[], failure?: string, isUnverified?: true }>} stages that were killed
   */
  async function rebuildOnce(projections, killsMax) {
    const known = new Set(
      (await rowsOf(projections)).filter(({ state }) => !stages.includes(state)).map(({ id }) => id),
    )
    const kills = []
    let lockedSince
    for (let calls = 0; calls < callsMax; calls++) {
      const reached = kills.length < killsMax ? drawKill(projections, kills.length === 0) : never
      const { code, killedAt, output, ms, workMs } = await call(projections, known, reached)
      if (killedAt) kills.push(killedAt)
      else if (code === 0 || code === null) {
        // Without a code: killed when all was done. The next call would begin anew.
        if (calls === 0) aloneMs = workMs / factor(projections)
        return { kills, failure: await unproved(projections, known, kills.length) }
      } else if (code === exitCodes.running) {
        counts.lockedOut += 1
        lockedSince ??= Date.now() - ms
        const lockedMs = Date.now() - lockedSince
        counts.lockedOutMsMax = Math.max(counts.lockedOutMsMax, lockedMs)
        if (lockedMs > lockMsMax)
          return { kills, failure: `${projections.join(' ')}: a killed call left its lock behind` }
        await delay(againMs, undefined, { signal })
        continue
      } else if (code === exitCodes.busy) counts.swapsBusy += 1
      else if (code === exitCodes.unverified && mayBeOutside) return { kills, isUnverified: true }
      else return { kills, failure: `${projections.join(' ')} ended with code ${code}: ${output.trim()}` }
      lockedSince = undefined
    }
    return { kills, failure: `${projections.join(' ')} did not end within ${callsMax} calls` }
  }

  /** @returns {Promise<string | undefined>} what a rebuild that has ended well can not show */
  async function unproved(projections, known, kills) {
    const rows = (await rowsOf(projections)).filter(({ id }) => !known.has(id))
    for (const name of projections) {
      const own = rows.filter(({ projection }) => projection === name)
      // Killed after the swap of one of several, the next call begins that one anew; a single one always goes on.
      if (own.length === 0) return `${name}: no rebuild is on record`
      if (own.length > (projections.length === 1 ? 1 : kills + 1))
        return `${name}: ${own.length} rebuilds are on record`
      for (const { state, report } of own) {
        if (state !== 'live') return `${name}: its rebuild is ${state}`
        const hasSpoken = report?.compared || (mayBeOutside && report?.recounted.rows > 0)
        if (!report?.equal || !hasSpoken) return `${name}: swapped in, and its report says ${JSON.stringify(report)}`
      }
    }
    return undefined
  }

  return {
    counts,

    /** Rebuilds, killed at least once. @param {string[]} projections */
    async rebuild(projections) {
      const killsMax = 1 + (random() < 0.3 ? 1 : 0) + (random() < 0.1 ? 1 : 0)
      for (let attempt = 0; attempt < tooLateMax; attempt++) {
        const { kills, failure } = await rebuildOnce(projections, killsMax)
        if (kills.length === 0 && !failure) {
          counts.killsTooLate += 1
          continue
        }
        countKills(kills)
        return count(failure)
      }
      throw new Error(`${projections.join(' ')} was rebuilt ${tooLateMax} times before a kill came`)
    },

    /** Rebuilds, killed so often at most: a short one may be done before. @param {string[]} projections @param {number} killsMax */
    async rebuildBeforeKills(projections, killsMax) {
      const { kills, failure, isUnverified } = await rebuildOnce(projections, killsMax)
      countKills(kills)
      if (isUnverified) counts.unverified += 1
      else count(failure)
    },

    /** One that is not counted, to learn how long they take. @param {string[]} projections */
    async calibrate(projections) {
      const { failure } = await rebuildOnce(projections, 0)
      if (failure) throw new Error(failure)
      return Math.round(aloneMs)
    },

    /** Rebuilds undisturbed. @param {string[]} projections */
    async rebuildInPeace(projections) {
      const { failure } = await rebuildOnce(projections, 0)
      count(failure)
    },
  }
}
