import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { pause } from '@annals/platform/backoff'
import { eventually, testScope, typescriptProcess, type TestProcess } from '@annals/platform/testing'
import { compare, fill, nothingWrong, openRoute, readTopics, type Written } from './relay-world'

const scope = testScope()

/** Starts a relay as a process; resolves when it leads. */
async function startRelay(category: string): Promise<TestProcess> {
  let said: string | undefined
  const args = typescriptProcess(join(__dirname, 'relay-process.ts'), category)
  const relay = scope.process(args, { onLine: (line) => (said = line) })
  await eventually(
    () => {
      expect(relay.hasEnded()).toBe(false)
      expect(said).toBeDefined()
    },
    { withinMs: 60_000 },
  )
  return relay
}

const kills = 6
const eventsPerRound = 400

describe('a relay that is killed', () => {
  it(`loses, doubles and reorders nothing over ${kills} kills in the middle of its work`, async () => {
    const { category, route, eventLog } = await openRoute(scope)
    const reader = await readTopics(scope, route)

    const inLog: Written[] = []
    let killedAtWork = 0
    for (let round = 0; round < kills; round++) {
      const relay = await startRelay(category)
      const before = reader.seen.length
      const filling = fill(eventLog, category, eventsPerRound)
      // Another moment each time: somewhere in the first half of the round's events, while the log still grows.
      const enough = before + 1 + Math.floor((Math.random() * eventsPerRound) / 2)
      await eventually(() => expect(reader.seen.length).toBeGreaterThanOrEqual(enough), { withinMs: 15_000 })
      await pause(Math.random() * 20)
      await relay.end('SIGKILL')
      inLog.push(...(await filling))
      if (reader.seen.length < inLog.length) killedAtWork++
    }
    await startRelay(category)
    await eventually(() => expect(reader.seen.length).toBeGreaterThanOrEqual(inLog.length), { withinMs: 40_000 })
    expect(inLog.length).toBe(kills * eventsPerRound)
    expect(compare(inLog, reader.seen)).toEqual(nothingWrong)
    // The kills did hit the work: something was published before each, and after most of them something was left.
    expect(killedAtWork).toBeGreaterThanOrEqual(kills / 2)
  }, 170_000)

  it('is found out by this comparison when it does lose, double or reorder', () => {
    const written = [0, 1, 2].map((revision) => ({ id: `e${revision}`, stream: 's', revision }))
    const [first, second, third] = written as [Written, Written, Written]
    expect(compare(written, written)).toEqual(nothingWrong)
    expect(compare(written, [first, third])).toMatchObject({ lost: 1, reordered: ['s@2 where 1 was due'] })
    expect(compare(written, [first, second, second, third])).toMatchObject({ doubled: 1 })
    expect(compare(written, [second, first, third]).reordered.length).toBeGreaterThan(0)
    expect(compare(written, [...written, { id: 'x', stream: 's', revision: 3 }])).toMatchObject({ foreign: 1 })
  })
})
