import { Redis } from 'ioredis'
import type { Logger } from 'pino'

export type { Redis } from 'ioredis'

/**
 * A Redis client that never lets a caller wait for a dead server: commands fail at once while there is no connection, and
 * after 500 ms without an answer. Redis holds nothing here that the log does not hold too; callers say what they do without it.
 */
export function createRedis(url: string, log: Logger): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: 500,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(2_000, attempt * 100),
    lazyConnect: false,
  })
  let up = true
  redis.on('ready', () => {
    up = true
  })
  redis.on('error', (error) => {
    if (up) log.warn({ err: error }, 'Redis does not answer')
    up = false
  })
  return redis
}
