/**
 * What bounds how often a route may be called. A route names one; the numbers are settings of the process.
 * `secrets`: it compares a secret, and wrong guesses are counted by account and by address.
 */
export const rateLimits = {
  none: 'bounded by how many requests the process runs at once',
  secrets: 'wrong guesses are counted, by account and by address',
} as const satisfies Record<string, string>

export type RateLimit = keyof typeof rateLimits
