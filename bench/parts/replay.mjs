import { measureRounds } from '../rebuild/rounds.mjs'

/**
 * `replay payments` over the log of the other parts, beside a bare read of it. Relay and projector run, with nothing to do.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 */
export async function measureReplay(scene) {
  const running = await scene.services(['relay', 'projector'])
  try {
    return await scene.step('Replay', async (update) => {
      const value = await measureRounds(scene, { rounds: 3, one: ['payments'] }, update)
      return { value, text: `${Math.round(value.perSecond)}/s beside ${Math.round(value.barePerSecond)}/s` }
    })
  } finally {
    await running.stop()
  }
}
