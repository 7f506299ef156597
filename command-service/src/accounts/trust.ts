/** What is known of whoever tries a password of an address, before it is looked at. */
export interface Acquaintance {
  /** The right password of this address came from this network before. */
  isKnownNetwork: boolean
  /** … and from this program there. */
  isKnownDevice: boolean
  /** Wrong passwords from this network of late, of whichever address. */
  recentFailures: number
}

/** Nothing is known: a network that was never seen, or nobody can be asked. */
export const stranger: Acquaintance = { isKnownNetwork: false, isKnownDevice: false, recentFailures: 0 }

/** A person mistypes; a network with so many wrong passwords in an hour is guessing, or full of people who are. */
export const manyFailures = 20

const scoreMin = 0.5
const scoreMax = 4

/**
 * By what limits on guesses are multiplied, from 0.5 to 4. Half for a network that has failed a lot. Twice for one from which the right
 * password came before, and twice again for the program that sent it. What a client says of its program, anybody can say: so it counts
 * in a known network only.
 */
export function trustOf({ isKnownNetwork, isKnownDevice, recentFailures }: Acquaintance): number {
  const known = isKnownNetwork ? (isKnownDevice ? 4 : 2) : 1
  const score = recentFailures >= manyFailures ? known / 2 : known
  return Math.min(scoreMax, Math.max(scoreMin, score))
}
