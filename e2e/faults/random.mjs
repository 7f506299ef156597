/**
 * Numbers in [0, 1) that a seed repeats (mulberry32, Tommy Ettinger, public domain). A run prints its seed: the same seed makes the
 * same commands and kills in the same order; how they meet is up to the machine.
 *
 * @param {number} seed 32-bit integer
 * @returns {() => number}
 */
export function createRandom(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** @template T @param {readonly T[]} items @param {() => number} random @returns {T} */
export const pick = (items, random) => items[Math.floor(random() * items.length)]

/** Fisher-Yates. @template T @param {readonly T[]} items @param {() => number} random @returns {T[]} */
export function shuffled(items, random) {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[result[last], result[other]] = [result[other], result[last]]
  }
  return result
}
