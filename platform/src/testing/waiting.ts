import { setTimeout as delay } from 'node:timers/promises'

/** How often a fact is asked for again, in ms. */
const askEveryMs = 50

/**
 * Waits for a fact: asks until `check` no longer throws.
 * @returns what the check returned.
 * @throws Error that carries the check's last complaint, after `withinMs` (default 10,000).
 */
export async function eventually<T>(check: () => T | Promise<T>, { withinMs = 10_000 } = {}): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() >= deadline) {
        const last = error instanceof Error ? error.message : String(error)
        throw new Error(`not so within ${withinMs} ms: ${last}`, { cause: error })
      }
      await delay(askEveryMs)
    }
  }
}

/** Address of a real server for an integration test. A test without its server fails; it is not skipped. */
export function requireEnv(name: string): string {
  const value = process.env[name]
  if (!value)
    throw new Error(
      `${name} is not set. Integration tests meet real servers: run \`npm test\`, or \`node dev/commands/stack.mjs up\` and ` +
        '`eval "$(node dev/commands/stack.mjs env)"` first.',
    )
  return value
}
