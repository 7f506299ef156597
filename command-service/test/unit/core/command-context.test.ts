import { describe, expect, it } from '@jest/globals'
import { canonicalJson, commandIdOf, createFingerprint, stepOf } from '../../../src/core/command-context'
import { CommandInProgress, Overloaded } from '../../../src/core/faults'
import { createInFlight } from '../../../src/core/in-flight'

const identification = { tenant: 'main', principal: 'anna', route: 'POST /x', idempotencyKey: 'k' }

describe("a command's id", () => {
  it('is the same for the same key of the same principal on the same route', () =>
    expect(commandIdOf(identification)).toBe(commandIdOf({ ...identification })))
  it.each([['tenant'], ['principal'], ['route'], ['idempotencyKey']])('is another for another %s', (part) =>
    expect(commandIdOf({ ...identification, [part]: 'other' })).not.toBe(commandIdOf(identification)),
  )
  it('is new each time without a key', () => {
    const without = { ...identification, idempotencyKey: undefined }
    expect(commandIdOf(without)).not.toBe(commandIdOf(without))
  })
  it('is derived for its steps, which name it as their cause and carry no fingerprint', () => {
    const context = {
      commandId: commandIdOf(identification),
      fingerprint: 'f',
      correlationId: 'c',
      causationId: 'r',
      actor: { type: 'user', id: 'anna' } as const,
      occurredAt: '2026-01-01T00:00:00.000Z',
    }
    const step = stepOf(context, 'settle', 1)
    expect(step).toEqual(stepOf(context, 'settle', 1))
    expect(step.commandId).not.toBe(stepOf(context, 'settle', 2).commandId)
    expect(step.causationId).toBe(context.commandId)
    expect(step).not.toHaveProperty('fingerprint')
  })
})

describe('a fingerprint', () => {
  const fingerprint = createFingerprint(Buffer.alloc(32, 1))
  it('does not depend on the order of fields, at any depth', () =>
    expect(fingerprint({ a: 1, b: { c: 2, d: [3] } })).toBe(fingerprint({ b: { d: [3], c: 2 }, a: 1 })))
  it.each([
    [{ a: 1 }, { a: '1' }],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: null }, {}],
    [{ a: { b: 1 } }, { 'a.b': 1 }],
    [{ a: ['b', 'c'] }, { a: ['b,c'] }],
  ])('tells %j from %j', (one, other) => expect(fingerprint(one)).not.toBe(fingerprint(other)))
  it('counts a missing field and an undefined one as the same', () =>
    expect(canonicalJson({ a: undefined, b: 1 })).toBe(canonicalJson({ b: 1 })))
  it('can not be computed without the key', () =>
    expect(createFingerprint(Buffer.alloc(32, 2))({ a: 1 })).not.toBe(fingerprint({ a: 1 })))
})

describe('what is in flight', () => {
  const never = () => new Promise<never>(() => undefined)

  it('runs a command once at a time, and again afterwards', async () => {
    const inFlight = createInFlight(10)
    let finish: (value: number) => void = () => undefined
    const first = inFlight.run('one', () => new Promise<number>((resolve) => (finish = resolve)))
    await expect(inFlight.run('one', async () => 2)).rejects.toThrow(CommandInProgress)
    finish(1)
    expect(await first).toBe(1)
    expect(await inFlight.run('one', async () => 3)).toBe(3)
  })

  it('gives the place back when a command fails', async () => {
    const inFlight = createInFlight(1)
    await expect(inFlight.run('one', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(inFlight.size).toBe(0)
  })

  it('is bounded', async () => {
    const inFlight = createInFlight(2)
    void inFlight.run('one', never)
    void inFlight.run('two', never)
    await expect(inFlight.run('three', async () => 1)).rejects.toThrow(Overloaded)
  })
})
