/**
 * What bounds how often a route may be called. A route names one; the numbers are settings of the process.
 * `commands`: nobody takes the places of others, see decision 0062.
 * `secrets`: it compares a secret, and wrong guesses are counted by account and by address. Such a route runs a command
 *   as well.
 */
export const rateLimits = {
  none: 'bounded by how many requests the process runs at once',
  commands: 'bounded by how many commands run at once, for each purpose and each principal',
  secrets: 'wrong guesses are counted, by account and by address',
} as const satisfies Record<string, string>

export type RateLimit = keyof typeof rateLimits
