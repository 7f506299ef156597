/**
 * Numbers that repeat from run to run, so that two measurements meet the same log: xoshiro128** seeded by splitmix32.
 * Not for secrets.
 *
 * @see https://prng.di.unimi.it/xoshiro128starstar.c
 * @param {number} seed 32-bit integer
 */
export function createRandom(seed) {
  const state = new Uint32Array(4)
  let mixed = seed >>> 0
  for (let i = 0; i < 4; i++) {
    mixed = (mixed + 0x9e3779b9) >>> 0
    let z = mixed
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    state[i] = z ^ (z >>> 15)
  }
  const rotl = (x, k) => (x << k) | (x >>> (32 - k))
  const next = () => {
    const result = Math.imul(rotl(Math.imul(state[1], 5), 7), 9) >>> 0
    const t = state[1] << 9
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= t
    state[3] = rotl(state[3], 11)
    return result
  }
  const hex8 = () => next().toString(16).padStart(8, '0')
  return {
    /** @returns {number} 0 <= x < 1 */
    fraction: () => next() / 2 ** 32,
    /** @param {number} count @returns {number} 0 <= n < count */
    below: (count) => Math.floor((next() / 2 ** 32) * count),
    /** @template T @param {readonly T[]} items @returns {T} */
    pick: (items) => items[Math.floor((next() / 2 ** 32) * items.length)],
    /** @param {number} words of 8 digits @returns {string} */
    hex: (words) => Array.from({ length: words }, hex8).join(''),
    /** @returns {string} in the form of a UUIDv5, lower case */
    uuid() {
      const [a, b, c, d] = [hex8(), hex8(), hex8(), hex8()]
      const variant = ((Number.parseInt(c[0], 16) & 3) | 8).toString(16)
      return `${a}-${b.slice(0, 4)}-5${b.slice(5)}-${variant}${c.slice(1, 4)}-${c.slice(4)}${d}`
    },
  }
}
