import { beforeEach, describe, expect, it } from '@jest/globals'
import type { EventLog, LogEvent } from '@annals/platform/event-log'
import { LogWalk, walkOnce, type Mention } from '../../src/drift/log-walk'

// Positions as logs have them: growing, with gaps.
const eventAt = (i: number) => ({ stream: `payment-${i}`, revision: 0, position: BigInt(i * 10 + 7) }) as LogEvent

/** A log that takes no position but an event's own. */
class MemoryLog implements Pick<EventLog, 'readAll' | 'head'> {
  events: LogEvent[] = []
  reads = 0

  async *readAll({ after }: { after: bigint | undefined }) {
    if (after !== undefined && !this.events.some(({ position }) => position === after))
      throw new Error('no such position')
    for (const event of this.events) {
      if (after !== undefined && event.position <= after) continue
      this.reads += 1
      yield event
    }
  }

  head = async () => this.events.at(-1)?.position
}

let log: MemoryLog
beforeEach(() => {
  log = new MemoryLog()
  log.events = Array.from({ length: 100 }, (_, i) => eventAt(i))
})

const names = ['annals.payments'] as const
const streamsOf = (mentions: readonly Mention[]) => mentions.map(({ stream }) => stream)

describe('a walk through the log', () => {
  it.each([undefined, eventAt(42).position, eventAt(99).position])(
    'comes past every event within a bounded number of rounds, from %s on, and again',
    async (begin) => {
      const walk = new LogWalk(log, names, async () => begin)
      for (let round = 0; round < 3; round++) {
        const seen = new Set<string>()
        // A hundred events, thirty a round: four rounds, one more where it begins anew in between.
        for (let i = 0; i < 5; i++) streamsOf(await walk.next(30)).forEach((stream) => seen.add(stream))
        expect(seen.size).toBe(100)
      }
      // It reads no more than it hands over, and one besides.
      expect(log.reads).toBeLessThanOrEqual(15 * 31)
    },
  )

  it('hands over what is new one call later, when read models have had the time to see it', async () => {
    const walk = new LogWalk(log, names, async () => undefined)
    await walk.next(10)
    log.events.push(eventAt(100), eventAt(101))
    expect(streamsOf(await walk.next(10))).not.toContain('payment-100')
    expect(streamsOf(await walk.next(10))).toEqual(expect.arrayContaining(['payment-100', 'payment-101']))
    expect(streamsOf(await walk.next(10))).not.toContain('payment-100')
  })

  it('begins anew in a log that was cut, and in one that was empty', async () => {
    const walk = new LogWalk(log, names, async () => log.events.at(-1)?.position)
    await walk.next(10)
    await walk.next(30)
    log.events = log.events.slice(0, 5)
    await expect(walk.next(10)).rejects.toThrow('no such position')
    await walk.next(10)
    expect(streamsOf(await walk.next(10))).toHaveLength(5)

    log.events = []
    const early = new LogWalk(log, names, async () => undefined)
    expect(await early.next(10)).toEqual([])
    log.events = [eventAt(1)]
    expect(streamsOf(await early.next(10))).toEqual(['payment-1'])
  })
})

describe('once through the log', () => {
  const all = async (begin: bigint | undefined, countMax: number) => {
    const found: Mention[] = []
    for await (const page of walkOnce(log, names, begin, countMax)) found.push(...page)
    return streamsOf(found)
  }

  it.each([undefined, eventAt(0).position, eventAt(42).position, eventAt(99).position])(
    'comes past every event once, from %s on',
    async (begin) => {
      const found = await all(begin, 1_000)
      expect(found).toHaveLength(100)
      expect(new Set(found).size).toBe(100)
    },
  )

  it('goes no further than it may', async () => {
    expect(await all(eventAt(90).position, 12)).toEqual([
      ...[91, 92, 93, 94, 95, 96, 97, 98, 99].map((i) => `payment-${i}`),
      ...[0, 1, 2].map((i) => `payment-${i}`),
    ])
  })
})
