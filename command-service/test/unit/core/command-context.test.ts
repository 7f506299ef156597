import { describe, expect, it } from '@jest/globals'
import { canonicalJson, commandIdOf, createFingerprint, stepOf } from '../../../src/core/command-context'

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
