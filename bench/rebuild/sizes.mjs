import { growLog, openHistory } from '../log/fill.mjs'
import { replay } from './cli.mjs'
import { measureEmmett } from './emmett.mjs'
import { measureRounds } from './rounds.mjs'

/** The read model that is rebuilt alone: one row for each payment. */
const one = ['payments']
/** It and two others: another fold of the same events, and one of other streams. */
const three = ['payments', 'payment_totals', 'users']
const rounds = 3
/** The log is measured at its first length and at so many times that. */
const growth = 5

/**
 * Rebuilds over a log of `events` and over one five times as long, with nothing else running; beside the former, Emmett.
 *
 * @param {Awaited<ReturnType<import('../scene.mjs').openScene>>} scene
 * @param {{ events: number, emmettEvents: number }} options
 */
export async function measureSizes(scene, { events, emmettEvents }) {
  const history = openHistory(scene, growth * events)
  const figures = {}
  const grow = async (until, projections) => {
    await growLog(scene, history, until)
    await build(scene, projections, until)
  }
  if (emmettEvents > 0 && emmettEvents < events) {
    await grow(emmettEvents, one)
    figures.emmett = await measureEmmett(scene, { events: history.counts.events, of: growth * events })
  }
  await grow(events, three)
  const first = await scene.step(`Rebuild`, async (update) => {
    const value = await measureRounds(scene, { rounds, one, together: three }, update)
    return { value, text: `${whole(value.perSecond)}/s beside ${whole(value.barePerSecond)}/s` }
  })
  if (emmettEvents >= events)
    figures.emmett = await measureEmmett(scene, { events: history.counts.events, of: growth * events })
  await grow(growth * events, one)
  const last = await scene.step(`Rebuild, ${growth} times the log`, async (update) => {
    const value = await measureRounds(scene, { rounds: 1, one }, update)
    return { value, text: `${whole(value.perSecond)}/s beside ${whole(value.barePerSecond)}/s` }
  })
  return {
    ...first,
    costGrowth1to5M: first.perSecond / last.perSecond,
    // How much dearer the reading alone has become: what of the growth is the log's, or the machine's.
    bareCostGrowth1to5M: first.barePerSecond / last.barePerSecond,
    cpuGrowth1to5M: cpuOf(last) / cpuOf(first),
    peakRssMb: Math.max(first.peakRssMb, last.peakRssMb),
    swapLockMs: Math.max(first.swapLockMs, last.swapLockMs),
    at5: last,
    diskGb: await scene.diskGb(),
    ...figures.emmett,
  }
}

/** CPU µs for each event, of all processes that a rebuild keeps busy; a bare read is none of it. */
const cpuOf = ({ cpuMicros }) =>
  Object.entries(cpuMicros).reduce((sum, [name, micros]) => (name === 'bare read' ? sum : sum + micros), 0)

/** The live read models, made by the CLI itself from nothing. */
const build = (scene, projections, events) =>
  scene.step('First build', async () => {
    await scene.forgetReadModels()
    const { seconds, peakRssMb } = await replay(scene, projections, { events })
    return { value: undefined, text: `${projections.join(', ')}: ${seconds.toFixed(0)} s, ${whole(peakRssMb)} MB` }
  })

const whole = (number) => Math.round(number).toLocaleString('en')
