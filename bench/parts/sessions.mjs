import { addUp, microsEach, startCpu } from '../cpu.mjs'
import { register } from '../people.mjs'
import { median, percentile, spread } from '../statistics.mjs'

const people = 20
/** A session is refreshed 30 times at any speed; afterwards a refresh records nothing for a minute. */
const sessionsOpened = 600
const connections = 64
const phases = 5
const phaseMs = 3_000
const warmUpMs = 3_000
const phaseMsMax = phaseMs + 60_000
/** As the command API's own: see `passwordConcurrencyMax` there. */
const hashesAtOnce = 2
/** As `serviceEnvironment` in scene.mjs. */
const bcryptCost = 10
/** Logins at once: as many as run and wait, so that hashing never stands still and nobody is refused. */
const loginsAtOnce = 16
const storm = { overCapacity: 2, checksPerSecond: 200, forMs: 15_000 }

/**
 * What begins, keeps and checks sessions, with the command API, the event store and Redis: logins beside bare bcrypt at
 * equal cost, checks of access tokens, refreshes, and checks while twice as many log in as can be hashed.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @returns {Promise<Record<'login' | 'sessionCheck' | 'refresh', Record<string, number>>>}
 */
export async function measureSessions({ profile, services, withLoad, step }) {
  const api = await services(['command'])
  try {
    return await withLoad('sessions', { url: api.urls.command, connections }, async (load) => {
      const registered = await register(api.urls.command, people)
      const run = (handler, order, forMs = phaseMs) => load.ask(handler, { ...order, forMs }, phaseMsMax)

      const login = await step('Logins', async (update) => {
        update('warming up')
        const hashing = { cost: bcryptCost, concurrency: hashesAtOnce }
        const loggingIn = { people: registered, concurrency: loginsAtOnce }
        await run('logins', loggingIn, warmUpMs)
        await run('bareBcrypt', hashing, warmUpMs)
        const through = []
        const bare = []
        for (let phase = 1; phase <= phases; phase++) {
          update(`phase ${phase} of ${phases}`)
          through.push((await run('logins', loggingIn)).perSecond)
          bare.push((await run('bareBcrypt', hashing)).perSecond)
        }
        const value = {
          perSecond: median(through),
          bareBcryptPerSecond: median(bare),
          ratio: median(through.map((rate, i) => rate / bare[i])),
          spread: spread(through),
        }
        return { value, text: `${value.perSecond.toFixed(1)}/s beside ${value.bareBcryptPerSecond.toFixed(1)}/s` }
      })

      let sessions = await step('Sessions', async () => {
        const order = { people: registered, count: sessionsOpened, concurrency: loginsAtOnce }
        return { value: await load.ask('open', order, 300_000), text: `${sessionsOpened} opened` }
      })
      const tokens = sessions.map(({ accessToken }) => accessToken)

      const sessionCheck = await step('Session checks', async (update) => {
        const checking = { tokens, concurrency: connections }
        update('warming up')
        await run('checks', checking, warmUpMs)
        const rates = []
        const cpu = {}
        let total = 0
        for (let phase = 1; phase <= phases; phase++) {
          update(`phase ${phase} of ${phases}`)
          load.cpuSeconds()
          const used = startCpu(profile)
          const answered = await run('checks', checking)
          addUp(cpu, { ...used(), load: load.cpuSeconds() })
          rates.push(answered.perSecond)
          total += answered.total
        }
        const value = { perSecond: median(rates), spread: spread(rates), cpuMicros: microsEach(cpu, total) }
        return { value, text: `${Math.round(value.perSecond)}/s` }
      })

      const refresh = await step('Refreshes', async (update) => {
        const refreshing = async (forMs) => {
          const answered = await run('refreshes', { sessions, concurrency: connections }, forMs)
          sessions = answered.sessions
          return answered.perSecond
        }
        update('warming up')
        await refreshing(warmUpMs)
        const rates = []
        for (let phase = 1; phase <= phases; phase++) {
          update(`phase ${phase} of ${phases}`)
          rates.push(await refreshing(phaseMs))
        }
        const value = { perSecond: median(rates), spread: spread(rates) }
        return { value, text: `${Math.round(value.perSecond)}/s` }
      })

      const stormy = await step('Session checks in a storm of logins', async () => {
        const { overCapacity, forMs, checksPerSecond } = storm
        const loginsPerSecond = overCapacity * login.bareBcryptPerSecond
        const order = { people: registered, tokens, loginsPerSecond, checksPerSecond, forMs, seed: 7 }
        const { checkMs, lateMs, loggedIn, refused } = await load.ask('storm', order, forMs + 120_000)
        const value = {
          p99MsDuringLoginStorm: percentile(checkMs, 0.99),
          lateP99Ms: percentile(lateMs, 0.99),
          loggedIn,
          refused,
        }
        const text = `p99 ${value.p99MsDuringLoginStorm.toFixed(1)} ms; ${loggedIn} logged in, ${refused} refused`
        return { value, text }
      })
      return { login, sessionCheck: { ...sessionCheck, ...stormy }, refresh }
    })
  } finally {
    await api.stop()
  }
}
