import { describe, expect, it } from '@jest/globals'
import { pino } from 'pino'
import type { EventLog } from '@annals/platform/event-log'
import { longerPatienceMs, patience, standBy } from '../../../src/relay/standby'

const patienceMs = 300
const log = pino({ level: 'silent' })

/** A log whose next event after any position is there at once, or never comes. */
const logWith = (waiting: boolean): Pick<EventLog, 'subscribe'> => ({
  async *subscribe({ after, signal }) {
    if (waiting) yield { position: (after ?? -1n) + 1n } as never
    else await new Promise((resolve) => signal.addEventListener('abort', resolve))
  },
})

/** Stands by for as long as it does, for two seconds at most. */
async function standing(position: () => Promise<bigint | undefined>, waiting: boolean) {
  const signal = AbortSignal.timeout(2_000)
  const began = performance.now()
  const eventLog = logWith(waiting)
  await standBy({
    publisher: {
      committed: async () => {
        const found = await position()
        return found === undefined ? undefined : { position: found, metadata: '' }
      },
    },
    eventLog,
    prefixes: ['x-'],
    log,
    signal,
    patienceMs,
    patienceMsMin: patienceMs,
  })
  return { tookOver: !signal.aborted, afterMs: performance.now() - began }
}

describe('a relay that stands by', () => {
  it('takes over when events wait and the checkpoint stands still', async () => {
    const { tookOver, afterMs } = await standing(async () => 7n, true)
    expect(tookOver).toBe(true)
    expect(afterMs).toBeGreaterThanOrEqual(patienceMs - 5)
  })

  it('takes over when nothing was ever published', async () =>
    expect(await standing(async () => undefined, true)).toMatchObject({ tookOver: true }))

  it('leaves an active relay alone that publishes', async () => {
    let position = 0n
    expect(await standing(async () => ++position, true)).toMatchObject({ tookOver: false })
  })

  it('leaves an idle one alone', async () =>
    expect(await standing(async () => 7n, false)).toMatchObject({ tookOver: false }))

  it('holds nothing against it while the checkpoint can not be read', async () => {
    let asked = 0
    const position = async () => {
      if (asked++ === 0) return 7n
      throw new Error('no broker')
    }
    expect(await standing(position, true)).toMatchObject({ tookOver: false })
  })

  it('waits twice as long after a lead that brought nothing, up to half a minute', () => {
    const waits: number[] = [patience.firstMs]
    while (waits.length < 6) waits.push(longerPatienceMs(waits.at(-1)!))
    expect(waits).toEqual([2_500, 5_000, 10_000, 20_000, 30_000, 30_000])
  })
})
