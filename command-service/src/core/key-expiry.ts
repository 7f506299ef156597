import type { Logger } from '@annals/platform/log'
import type { KeyWriter } from './key-writer'

/** How late a key may be destroyed, beside the time that readers have it at hand. */
const everyMs = 30_000
/** Of one statement; the rest follows at once. */
const keysAtOnce = 1_000

/** Destroys keys whose time has come, again and again until it is closed. Several processes may: each takes others. */
export function createKeyExpiry(keys: Pick<KeyWriter, 'destroyExpired'>, log: Logger, intervalMs = everyMs) {
  let running: Promise<void> | undefined

  async function destroy(): Promise<void> {
    try {
      while ((await keys.destroyExpired(keysAtOnce)) === keysAtOnce);
    } catch (error) {
      log.warn({ err: error }, 'keys whose time has come could not be destroyed, trying again')
    }
  }

  const timer = setInterval(() => (running ??= destroy().finally(() => (running = undefined))), intervalMs)
  timer.unref()
  return {
    async close(): Promise<void> {
      clearInterval(timer)
      await running
    },
  }
}
