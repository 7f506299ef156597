import { fillLog } from './log/fill.mjs'
import { measureCommands } from './parts/commands.mjs'
import { measureProjection } from './parts/projection.mjs'
import { catchUp, measureRelay } from './parts/relay.mjs'
import { measureReplay } from './parts/replay.mjs'
import { measureVisible } from './parts/visible.mjs'

/**
 * Measures the chosen parts in their order. Commands come last: what they append would be in the others' way.
 *
 * @param {Awaited<ReturnType<import('./scene.mjs').openScene>>} scene
 * @param {{ events: number, parts: string[] }} options
 * @returns {Promise<Record<string, Record<string, number>>>} figures by part
 */
export async function measure(scene, { events, parts }) {
  const wanted = (...names) => names.some((name) => parts.includes(name))
  const figures = {}
  if (wanted('relay', 'projection', 'visible', 'replay')) {
    const history = await fillLog(scene, events)
    if (wanted('relay')) figures.relay = await measureRelay(scene, history)
    else await relayOnly(scene, history)
    if (wanted('projection', 'visible', 'replay')) {
      // The live read models are what a query asks and what a rebuild is compared with.
      const projected = await measureProjection(scene, history)
      if (wanted('projection')) figures.projection = projected
    }
  }
  if (wanted('visible')) figures.visible = await measureVisible(scene)
  if (wanted('replay')) figures.replay = await measureReplay(scene)
  if (wanted('commands')) figures.commands = await measureCommands(scene)
  return figures
}

const relayOnly = (scene, { published }) =>
  scene.step('Relay', async (update) => {
    await catchUp(scene, published, update)
    return { value: undefined, text: 'not measured' }
  })
