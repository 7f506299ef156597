import { describe, expect, it } from '@jest/globals'
import { backoffMs, pause } from '@annals/platform/backoff'
import { derivedId, newId } from '@annals/platform/ids'

describe('a derived id', () => {
  it('is the same for the same parts, for ever', () =>
    expect(derivedId('payment', 'main', 1)).toBe('f4dad462-18f4-5e13-aca0-08bf829a3850'))
  it('is another for other parts, and for parts cut elsewhere', () => {
    const ids = [
      derivedId('a', 'b'),
      derivedId('b', 'a'),
      derivedId('ab'),
      derivedId('a', 'b', ''),
      derivedId('', 'ab'),
    ]
    expect(new Set(ids).size).toBe(ids.length)
  })
  it('is a lower-case UUID of version 5', () =>
    expect(derivedId('x')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/))
  it('refuses a part that holds the separator: it could pass for two', () =>
    expect(() => derivedId('a\u001fb')).toThrow('separator'))
})

it('a new id sorts after those before it', () => {
  const ids = Array.from({ length: 1_000 }, newId)
  expect(ids.toSorted()).toEqual(ids)
})

describe('backoff', () => {
  const policy = { firstMs: 100, maxMs: 1_000 }
  it('doubles up to its bound', () =>
    expect([1, 2, 3, 4, 5, 1_000].map((attempt) => backoffMs(policy, attempt, 1))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]))
  it('is spread over the upper half by jitter', () =>
    expect([0, 0.5, 1].map((jitter) => backoffMs(policy, 1, jitter))).toEqual([50, 75, 100]))
})

describe('a pause', () => {
  it('ends early and quietly when it is called off', async () => {
    const called = new AbortController()
    const startedAt = Date.now()
    const waiting = pause(60_000, called.signal)
    called.abort()
    await waiting
    expect(Date.now() - startedAt).toBeLessThan(5_000)
  })
})
