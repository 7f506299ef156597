import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { EventLog } from '@annals/platform/event-log'
import { accessTokenSecondsMax } from '@annals/platform/access-tokens'
import { field } from '@annals/platform/config'
import type { Logger } from '@annals/platform/log'
import type { Scope } from '@annals/platform/process'
import { redisDeadlines, type Redis } from '@annals/platform/redis'
import { revocationMarkMs } from '@annals/platform/revocation'
import { createClaimsCheck } from '../accounts/role-permissions'
import type { Execute } from '../core/execute'
import { createRevocations, type Revocations } from '../sessions/revocations'

/** As the command API has it. */
export const revocationFields = { ACCESS_TOKEN_SECONDS: field.integer(15 * 60, 60, accessTokenSecondsMax) }

/** How long a command waits for Redis to be told. */
const toldMsMax = 5_000
const lookEveryMs = 100

export interface OperatorsRevocations extends Revocations {
  /** Waits until Redis has been told. @throws Error when it does not take it in time: the change is recorded all the same. */
  told(): Promise<void>
}

export interface OperatorsRevocationDeps {
  redis: Redis
  load: Execute['load']
  eventLog: Pick<EventLog, 'recent'>
  log: Logger
  config: { ACCESS_TOKEN_SECONDS: number }
}

/** For a process that ends: it waits for Redis before and after, since nobody goes on trying for it. */
export async function openRevocations(scope: Scope, deps: OperatorsRevocationDeps): Promise<OperatorsRevocations> {
  const { redis, load, eventLog, log, config } = deps
  if (redis.status !== 'ready') {
    const signal = AbortSignal.timeout(redisDeadlines.connectMs)
    await once(redis, 'ready', { signal }).catch(() => undefined)
  }
  const revocations = createRevocations({
    redis,
    load,
    claimsOnlyPermitted: createClaimsCheck({ load }),
    eventLog,
    log,
    markMs: revocationMarkMs(config.ACCESS_TOKEN_SECONDS),
    onSkipped: () => undefined,
    tellsAgain: false,
  })
  scope.add('revocations', revocations, (open) => open.close())
  return Object.assign(revocations, {
    async told() {
      const deadline = performance.now() + toldMsMax
      while (revocations.pending > 0) {
        if (performance.now() > deadline)
          throw new Error(
            'The change is recorded, but Redis does not answer. If it answers other processes, start a command API anew: it tells ' +
              'Redis. Until then tokens handed out before may be good for their time.',
          )
        await delay(lookEveryMs)
      }
    },
  })
}
