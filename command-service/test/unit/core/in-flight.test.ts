import { describe, expect, it } from '@jest/globals'
import { CommandInProgress, Overloaded, TooManyRequests } from '../../../src/core/faults'
import { createInFlight, type CommandPurpose } from '../../../src/core/in-flight'

const limits = { max: 10, purposeMax: 6, principalMax: 3 }
const never = () => new Promise<never>(() => undefined)
let made = 0
const of = (purpose: CommandPurpose, principal: string, commandId = `command-${made++}`) => ({
  commandId,
  purpose,
  principal,
})

describe('commands in flight', () => {
  it('run once at a time, and again afterwards', async () => {
    const inFlight = createInFlight(limits)
    let finish: (value: number) => void = () => undefined
    const first = inFlight.run(of('payments', 'anna', 'one'), () => new Promise<number>((done) => (finish = done)))
    await expect(inFlight.run(of('payments', 'anna', 'one'), async () => 2)).rejects.toThrow(CommandInProgress)
    finish(1)
    expect(await first).toBe(1)
    expect(await inFlight.run(of('payments', 'anna', 'one'), async () => 3)).toBe(3)
  })

  it('give their place back when they fail, or throw at once', async () => {
    const inFlight = createInFlight({ max: 1, purposeMax: 1, principalMax: 1 })
    await expect(inFlight.run(of('payments', 'anna'), () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    const throwing = () => {
      throw new Error('at once')
    }
    await expect(inFlight.run(of('payments', 'anna'), throwing)).rejects.toThrow('at once')
    expect(inFlight.size).toBe(0)
    expect(await inFlight.run(of('payments', 'anna'), async () => 1)).toBe(1)
  })

  it('of one principal are a share, and others are served meanwhile', async () => {
    const inFlight = createInFlight(limits)
    for (let i = 0; i < 3; i++) void inFlight.run(of('payment-gateway', 'anna'), never)
    await expect(inFlight.run(of('payment-gateway', 'anna'), async () => 1)).rejects.toThrow(TooManyRequests)
    // Whatever they are for.
    await expect(inFlight.run(of('payments', 'anna'), async () => 1)).rejects.toMatchObject({ retryAfterSeconds: 1 })
    expect(await inFlight.run(of('payment-gateway', 'berta'), async () => 1)).toBe(1)
  })

  it('of one purpose are a share: what waits for others leaves places for what does not', async () => {
    const inFlight = createInFlight(limits)
    for (let i = 0; i < 6; i++) void inFlight.run(of('payment-gateway', `user-${i}`), never)
    await expect(inFlight.run(of('payment-gateway', 'berta'), async () => 1)).rejects.toThrow(Overloaded)
    for (const purpose of ['payments', 'sessions', 'accounts'] as const)
      expect(await inFlight.run(of(purpose, 'berta'), async () => 1)).toBe(1)
  })

  it('are so many', async () => {
    const inFlight = createInFlight(limits)
    for (let i = 0; i < 10; i++) void inFlight.run(of(i % 2 ? 'payments' : 'sessions', `user-${i}`), never)
    expect(inFlight.size).toBe(10)
    await expect(inFlight.run(of('accounts', 'berta'), async () => 1)).rejects.toThrow(Overloaded)
  })
})
