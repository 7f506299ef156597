import { fillLog } from './log/fill.mjs'
import { machineFacts } from './machine.mjs'
import { measureCommands } from './parts/commands.mjs'
import { measureLanes } from './parts/lanes.mjs'
import { measureProjection } from './parts/projection.mjs'
import { catchUp, measureRelay } from './parts/relay.mjs'
import { measureReplay } from './parts/replay.mjs'
import { measureSessions } from './parts/sessions.mjs'
import { measureVisible } from './parts/visible.mjs'
import { measureWeight } from './parts/weight.mjs'
import { measureBesideLoad } from './rebuild/beside-load.mjs'
import { measureSizes } from './rebuild/sizes.mjs'

/**
 * Measures what was asked for.
 *
 * @param {Awaited<ReturnType<typeof import('./scene.mjs').openScene>>} scene with every server; it is finished here
 * @param {ReturnType<typeof import('./options.mjs').readOptions>} options
 * @param {(servers: string[]) => Promise<typeof scene>} open another one, with some servers
 * @returns {Promise<{ figures: Record<string, Record<string, number>>, machine: Record<string, string | number> }>} by part
 */
export async function measure(scene, options, open) {
  const machine = await scene.withDatabase(scene.env.PROJECTION_DATABASE_URL, machineFacts)
  const figures = options.long ? await measureLong(scene, options, open) : await measureParts(scene, options)
  return { figures, machine }
}

/** The chosen parts in their order. Commands come last: what they append would be in the others' way. */
async function measureParts(scene, { events, parts }) {
  const wanted = (...names) => names.some((name) => parts.includes(name))
  const figures = {}
  let history
  if (wanted('relay', 'projection', 'weight', 'visible', 'replay', 'lanes')) {
    history = await fillLog(scene, events)
    if (wanted('relay')) figures.relay = await measureRelay(scene, history)
    else await relayOnly(scene, history)
    if (wanted('projection', 'weight', 'visible', 'replay')) {
      // The live read models are what a query asks and what a rebuild is compared with.
      const projected = await measureProjection(scene, history)
      if (wanted('projection')) figures.projection = projected
      if (wanted('weight')) figures.weight = await measureWeight(scene, history)
    }
  }
  if (wanted('visible')) figures.visible = await measureVisible(scene)
  if (wanted('replay')) figures.replay = await measureReplay(scene)
  if (wanted('lanes')) figures.lanes = await measureLanes(scene, history)
  // Three figures of their own: a login, a check and a refresh have nothing in common but the session.
  if (wanted('sessions')) Object.assign(figures, await measureSessions(scene))
  if (wanted('commands')) figures.commands = await measureCommands(scene)
  await scene.finish()
  return figures
}

/** The replay alone, at length: beside a system in use, and over logs as long as they get. */
async function measureLong(used, options, open) {
  const beside = await measureBesideLoad(used, options)
  await used.finish()
  // Nothing but the two servers that a rebuild has to do with.
  const scene = await open(['eventstore', 'postgres'])
  const sizes = await measureSizes(scene, options)
  await scene.finish()
  return {
    replay: {
      ...beside,
      ...sizes,
      peakRssMb: Math.max(beside.peakRssMb, sizes.peakRssMb),
      swapLockMs: Math.max(beside.swapLockMs, sizes.swapLockMs),
    },
  }
}

const relayOnly = (scene, { published }) =>
  scene.step('Relay', async (update) => {
    await catchUp(scene, published, update)
    return { value: undefined, text: 'not measured' }
  })
