import { describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { HashSample } from '../../src/replay/recount/hash-sample'
import { textHash } from '../../src/replay/recount/text-hash'

describe('the hash of a text', () => {
  it.each([
    // As PostgreSQL 18 answers `select hashtext(…)::bigint & 4294967295`.
    ['', 2_817_148_525],
    ['a', 1_075_015_857],
    ['exactly12byt', 804_910_449],
    ['2026-03-01|EUR', 2_093_141],
    ['0|5474e54c-2788-55e0-a7f9-4dbba6520085', 1_017_178_240],
    ['Zürich 🙂', 3_308_637_538],
  ])('of %j is that of PostgreSQL', (text, hash) => {
    expect(textHash(text)).toBe(hash)
  })
})

describe('a sample by hash', () => {
  const counted = (names: readonly string[], size: number) => {
    const sample = new HashSample<{ name: string; mentions: number }>('salt', size)
    for (const name of names) {
      if (sample.has(name)) sample.set(name, { name, mentions: (sample.get(name)?.mentions ?? 0) + 1 })
    }
    return sample
  }

  it('holds everything while there is little', () => {
    const names = Array.from({ length: 20 }, () => randomUUID())
    const sample = counted(names, 10)
    expect(sample.threshold).toBe(2 ** 32 - 1)
    expect(sample.count).toBe(20)
  })

  it('holds every name up to its threshold, with each of its mentions, in bounded memory', () => {
    const names = Array.from({ length: 5_000 }, () => randomUUID())
    // Mentioned again and again, the first long before the last.
    const mentions = Array.from({ length: 20_000 }, (_, i) => names[(i * 7_919) % names.length]!)
    const sample = counted(mentions, 50)
    expect(sample.count).toBeGreaterThanOrEqual(50)
    expect(sample.count).toBeLessThanOrEqual(100)
    const wanted = names.filter((name) => textHash(`salt${name}`) <= sample.threshold)
    expect(
      sample
        .values()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(wanted.toSorted())
    expect(sample.values().every((one) => one.mentions === 4)).toBe(true)
  })

  it('is another one under another salt', () => {
    const names = Array.from({ length: 1_000 }, () => randomUUID())
    const chosen = (salt: string) => {
      const sample = new HashSample<string>(salt, 10)
      for (const name of names) if (sample.has(name)) sample.set(name, name)
      return sample.values().toSorted()
    }
    expect(chosen('a')).not.toEqual(chosen('b'))
  })
})
