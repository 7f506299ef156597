import { streamOf } from '@annals/contracts'
import type { AddressHash } from '../accounts/commands/registration'
import { endSessions, userDecider } from '../accounts/domain/user'
import type { Execute } from '../core/execute'
import { accountNamed, operatorsContext } from './account-named'

export interface EndSessionsOf {
  /** An e-mail address or a user id. */
  who: string
  /** Who ends them: kept in the log. */
  operator: string
  at: string
}

/**
 * Ends all sessions of somebody.
 * @returns whose they were. @throws Rejected `user-not-found`; z.ZodError when `who` is neither an address nor an id.
 */
export async function endSessionsOf(execute: Execute, addressHash: AddressHash, { who, operator, at }: EndSessionsOf) {
  const userId = await accountNamed(execute, addressHash, who)
  await execute(userDecider, {
    stream: streamOf.user(userId),
    context: operatorsContext(operator, at),
    decide: endSessions({ exceptSessionId: null, by: 'administrator', at }),
  })
  return userId
}
