import { describe, expect, it } from '@jest/globals'
import { createLogger } from '@annals/platform/log'
import { createBackground } from '../../../src/core/background'
import { Overloaded } from '../../../src/core/faults'

const silent = createLogger('test', 'silent')
const background = (concurrency = 1, waitingMax = 2) =>
  createBackground({ log: silent, name: 'test', concurrency, waitingMax })

describe('work in the background', () => {
  it('begins after whoever adds it has gone on', async () => {
    const steps: string[] = []
    const work = background()
    work.add(async () => void steps.push('work'))
    steps.push('answer')
    await work.close()
    expect(steps).toEqual(['answer', 'work'])
  })
  it('goes on past what fails', async () => {
    const done: number[] = []
    const work = background()
    work.add(async () => {
      throw new Error('away')
    })
    work.add(async () => void done.push(2))
    await work.close()
    expect(done).toEqual([2])
  })
  it('refuses what is too much, before it is begun', async () => {
    const work = background()
    for (const _ of [1, 2]) work.add(async () => undefined)
    expect(() => work.add(async () => undefined)).toThrow(Overloaded)
    await work.close()
    expect(() => work.add(async () => undefined)).not.toThrow()
    await work.close()
  })
  it('runs no more at once than it may', async () => {
    let running = 0
    let most = 0
    const work = background(2, 10)
    for (const _ of Array.from({ length: 6 }))
      work.add(async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => void setImmediate(resolve))
        running--
      })
    await work.close()
    expect(most).toBe(2)
  })
})
