import { EventEmitter, once } from 'node:events'
import { backoffMs, pause } from '@annals/platform/backoff'
import type { Logger } from '@annals/platform/log'
import type { Pool, PoolClient } from '@annals/platform/postgres'
import { progressChannel } from '../engine/tables/lane-table'

/** Tells when a read model has moved. */
export interface Progress {
  /** Resolves at the next commit of a projector, or after `withinMs`. */
  next(withinMs: number): Promise<void>
  close(): Promise<void>
}

/** Where nobody tells: looks come one after the other. */
const untoldMs = 10
export const untold: Pick<Progress, 'next'> = { next: () => pause(untoldMs) }

const backoff = { firstMs: 100, maxMs: 5_000 }

/**
 * Listens to what projectors say at each commit (PostgreSQL's NOTIFY), on one connection of the pool. While that is lost, whoever waits
 * looks as often as if nobody told.
 */
export function listenForProgress(pool: Pool, log: Logger): Progress {
  const commits = new EventEmitter().setMaxListeners(0)
  const ending = new AbortController()
  let isListening = false

  async function listen(): Promise<void> {
    const client: PoolClient = await pool.connect()
    const lost = once(client, 'error').catch((error: unknown) => [error])
    client.on('notification', () => commits.emit('commit'))
    try {
      await client.query(`listen ${progressChannel}`)
      isListening = true
      const ended = once(client, 'end').catch(() => undefined)
      await Promise.race([lost, ended, pause(2 ** 31 - 1, ending.signal)])
    } finally {
      isListening = false
      client.release(true)
    }
  }

  const running = (async () => {
    for (let failures = 0; !ending.signal.aborted;) {
      const began = Date.now()
      await listen().catch((error: unknown) => log.debug({ err: error }, 'commits of the projector can not be heard'))
      failures = Date.now() - began > backoff.maxMs ? 1 : failures + 1
      if (!ending.signal.aborted) await pause(backoffMs(backoff, failures, Math.random()), ending.signal)
    }
  })()

  return {
    async next(withinMs) {
      if (!isListening) return pause(untoldMs)
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(), withinMs)
      try {
        await once(commits, 'commit', { signal: late.signal })
      } catch {
        // Nobody has told in time.
      } finally {
        clearTimeout(timer)
      }
    },
    async close() {
      ending.abort()
      await running
    },
  }
}
