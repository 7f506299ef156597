import type { Redis } from '../redis'
import type { RateWindow } from './window'

/** What is known of a window after an attempt was counted in it. */
export interface Standing {
  /** Attempts in it, this one included. */
  count: number
  /** Until the oldest of them leaves it. */
  oldestLeavesInMs: number
}

export type SharedVerdict =
  | { isTaken: true; standings: Standing[] }
  /** `full`: index of the first window without room, and how long until it has some. */
  | { isTaken: false; full: number; retryAfterMs: number }

/** Counts attempts for all processes together. */
export interface SharedWindows {
  /**
   * Counts an attempt in all of the windows, or, when one is full, in none: in one step, by the clock of the store.
   * @param id of the attempt, unique; one that is counted already is not counted again.
   * @throws when it does not answer in time, or takes nothing: then nobody knows whether the attempt was counted.
   */
  take(id: string, windows: readonly RateWindow[]): Promise<SharedVerdict>
  /** The attempt does not count. @throws as `take` does. */
  giveBack(id: string, keys: readonly string[]): Promise<void>
  /** No attempt is remembered. @throws as `take` does. */
  forget(keys: readonly string[]): Promise<void>
}

/**
 * A window is a sorted set: attempts by the time at which they were counted, `limit` of them at most. It goes with the
 * last of them. An attempt counts for exactly the window's length, so no interval of that length has more than `limit`.
 *
 * Attempts from the future are those of a clock that was set back since (a failover to another machine): they count
 * from now on, or they would keep everybody out for as long as it was set back.
 * @see https://redis.io/docs/latest/develop/interact/programmability/eval-intro/ a script runs alone
 */
const takeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id = ARGV[1]
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  for _, early in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
    redis.call('ZADD', key, now, early)
  end
  local count = redis.call('ZCARD', key)
  if count >= limit and not redis.call('ZSCORE', key, id) then
    local last = redis.call('ZRANGE', key, count - limit, count - limit, 'WITHSCORES')
    return { 0, i - 1, last[2] + window - now }
  end
end
local answer = { 1 }
for i, key in ipairs(KEYS) do
  local window = tonumber(ARGV[2 * i + 1])
  redis.call('ZADD', key, 'NX', now, id)
  redis.call('PEXPIRE', key, window)
  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  answer[2 * i] = redis.call('ZCARD', key)
  answer[2 * i + 1] = oldest[2] + window - now
end
return answer`

type TakeCommand = (keys: number, ...rest: (string | number)[]) => Promise<number[]>

/** Windows in Redis; its client gives a question up after `redisDeadlines.commandMs`. One node: a script reads its keys there. */
export function createRedisWindows(redis: Redis): SharedWindows {
  // Sent by its digest, and as a text to a server that does not know it yet.
  redis.defineCommand('annalsTakeWindows', { lua: takeScript })
  const command = (redis as unknown as { annalsTakeWindows: TakeCommand }).annalsTakeWindows.bind(redis)

  return {
    async take(id, windows) {
      const limits = windows.flatMap(({ limit, windowMs }) => [limit, windowMs])
      const [isTaken, ...facts] = await command(windows.length, ...windows.map(({ key }) => key), id, ...limits)
      if (isTaken !== 1) return { isTaken: false, full: facts[0]!, retryAfterMs: facts[1]! }
      const standings = windows.map((_, i) => ({ count: facts[2 * i]!, oldestLeavesInMs: facts[2 * i + 1]! }))
      return { isTaken: true, standings }
    },
    async giveBack(id, keys) {
      const batch = redis.multi()
      for (const key of keys) batch.zrem(key, id)
      await executed(batch.exec())
    },
    async forget(keys) {
      await redis.del(...keys)
    },
  }
}

/** @throws the first error inside the answer of a transaction. */
async function executed(answer: Promise<[Error | null, unknown][] | null>): Promise<void> {
  for (const [error] of (await answer) ?? []) if (error) throw error
}
