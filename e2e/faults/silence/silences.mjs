import { setTimeout as delay } from 'node:timers/promises'
import { readInbox } from '../check-mails.mjs'
import { shuffled } from '../random.mjs'

/**
 * Longer than everything that may follow one another: a query (15 s), the consumer's own deadline (60 s), a mail's second wait (75 s).
 * What has not gone on by itself by then is not healed.
 */
const healMsMax = 150_000
const lookEveryMs = 200
/** Every so many of those that end, only the answers are lost: the server does what it is asked, and nobody hears of it. */
const answersEvery = 3

/**
 * @typedef {object} Silence
 * @property {string} name
 * @property {import('../../links.mjs').Link[]} links that fall silent together
 * @property {boolean} ends the connections come back; else they are dead for ever, as after a failover, and new ones work
 * @property {import('@annals/platform/testing').Silence} what
 *
 * @typedef {Omit<Silence, 'links'> & { at: number, links: string[], silentMs: number, healedMs: number | undefined,
 *   unready: string[] }} Fallen `healedMs`: from when connections could work again; `undefined`: never. `unready`: who said so while
 *   it lasted
 */

/**
 * All connections of everybody for ever; then those to each server for ever; then each link for a time, and back.
 *
 * @param {import('../../links.mjs').Link[]} links
 * @param {() => number} random
 * @returns {Silence[]}
 */
export function planSilences(links, random) {
  const used = links.filter(({ proxy }) => proxy.accepted > 0)
  const servers = [...new Set(used.map(({ server }) => server))]
  const dead = { ends: false, what: 'both' }
  return [
    { name: 'everything', links: used, ...dead },
    ...shuffled(servers, random).map((server) => ({
      name: `everybody → ${server}`,
      links: used.filter((link) => link.server === server),
      ...dead,
    })),
    ...shuffled(used, random).map((link, index) => ({
      name: link.name,
      links: [link],
      ends: true,
      what: index % answersEvery === answersEvery - 1 ? 'answers' : 'both',
    })),
  ]
}

/**
 * Makes one silence after the other, and waits each time until the system continues by itself: a new person is
 * registered and gets a mail, people read what they have written, and every process reports ready.
 *
 * @param {object} options
 * @param {Silence[]} options.plan
 * @param {number} options.silentMs
 * @param {ReturnType<import('../load.mjs').createLoad>} options.load
 * @param {string} options.inboxUrl
 * @param {ReturnType<import('../servers/watch.mjs').watchServices>} options.watch
 * @param {(text: string) => void} options.say
 * @param {AbortSignal} options.signal
 * @returns {Promise<Fallen[]>}
 */
export async function runSilences({ plan, silentMs, load, inboxUrl, watch, say, signal }) {
  const fallen = []

  /** @param {number} from epoch ms @returns {Promise<number | undefined>} ms until everything went on */
  async function healed(from, number) {
    const deadline = Date.now() + healMsMax
    const until = async (question) => {
      while (!(await question())) {
        if (Date.now() > deadline) return false
        await delay(lookEveryMs, undefined, { signal })
      }
      return true
    }
    const { email } = await load.register(`silence${number}`)
    const registeredAt = Date.now()
    const goesOn =
      (await until(() => load.timeline.reads.some(({ askedAt }) => askedAt >= registeredAt) || load.done)) &&
      (await until(async () => (await readInbox(inboxUrl)).some(({ to }) => to.includes(email)))) &&
      (await until(() => watch.unready().length === 0))
    return goesOn ? Date.now() - from : undefined
  }

  for (const [index, { name, links, ends, what }] of plan.entries()) {
    const at = Date.now()
    const before = { ...watch.unreadyMs }
    for (const { proxy } of links) proxy.silence(ends ? 'all' : 'established', what)
    if (ends) {
      try {
        await delay(silentMs, undefined, { signal })
      } finally {
        for (const { proxy } of links) proxy.restore()
      }
    }
    const from = Date.now()
    const healedMs = await healed(from, index + 1)
    const unready = Object.keys(before).filter((process) => watch.unreadyMs[process] > before[process])
    fallen.push({ name, ends, what, at, links: links.map((link) => link.name), silentMs: from - at, healedMs, unready })
    const told = healedMs === undefined ? `NOT healed after ${healMsMax / 1_000} s` : `healed after ${healedMs} ms`
    say(`${name}: ${ends ? `silent for ${silentMs} ms (${what})` : 'dead for ever'}, ${told}`)
  }
  return fallen
}
