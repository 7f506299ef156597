import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { pause } from '@annals/platform/backoff'
import { eventually, typescriptProcess } from '@annals/platform/testing'
import { compare, fill, nothingWrong, openRoute, readTopics, type Written } from './relay-world'

const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

/** Starts a relay as a process; resolves when it leads. */
async function startRelay(category: string) {
  const child = spawn(process.execPath, typescriptProcess(join(__dirname, 'relay-process.ts'), category), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
  }
  opened.push(kill)
  await Promise.race([once(child.stdout, 'data'), exited])
  expect(child.exitCode).toBeNull()
  return { kill }
}

const kills = 6
const eventsPerRound = 400

describe('a relay that is killed', () => {
  it(`loses, doubles and reorders nothing over ${kills} kills in the middle of its work`, async () => {
    const { category, route, eventLog } = await openRoute(opened)
    const reader = await readTopics(route)
    opened.push(reader.stop)

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
      await relay.kill()
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
