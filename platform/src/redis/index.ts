import { Redis } from 'ioredis'
import type { Logger } from 'pino'

export type { Redis } from 'ioredis'

/** Longest waits, in ms; docs/remote-calls.md holds them beside all others. */
export const redisDeadlines = {
  /** For a connection. */
  connectMs: 2_000,
  /** For an answer. */
  commandMs: 500,
  /** For any word while an answer is waited for: then the connection itself is thrown away, and made anew. */
  silentMs: 1_000,
  /** Between two attempts to connect, at most. */
  reconnectMs: 2_000,
} as const

/**
 * A Redis client that never lets a caller wait for a dead server: commands fail at once while there is no connection, and
 * after 500 ms without an answer. `ca` in PEM, instead of the public ones, for `rediss://`. Redis holds nothing here that the log does not hold too; callers say what they do without it.
 */
export function createRedis(url: string, log: Logger, { ca }: { ca?: string | undefined } = {}): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: redisDeadlines.commandMs,
    connectTimeout: redisDeadlines.connectMs,
    // ioredis gives a command up and keeps its connection: after a failover each would be given up, for ever.
    socketTimeout: redisDeadlines.silentMs,
    retryStrategy: (attempt) => Math.min(redisDeadlines.reconnectMs, attempt * 100),
    lazyConnect: false,
    ...(ca === undefined ? {} : { tls: { ca } }),
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
