import { KnownEmailAddress, streamOf, UserId } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import type { AddressHash } from '../accounts/commands/registration'
import { emailReservationDecider } from '../accounts/domain/email-reservation'
import type { CommandContext } from '../core/command-context'
import type { Execute } from '../core/execute'
import { Rejected } from '../core/rejected'

/**
 * @param who an e-mail address or a user id.
 * @throws Rejected `user-not-found`; z.ZodError when it is neither an address nor an id.
 */
export async function accountNamed(execute: Execute, addressHash: AddressHash, who: string): Promise<UserId> {
  if (UserId.safeParse(who).success) return who
  const hash = addressHash(KnownEmailAddress.parse(who))
  const { state } = await execute.load(emailReservationDecider, streamOf.emailReservation(hash))
  if (state.status !== 'reserved') throw new Rejected('user-not-found')
  return state.userId
}

/** A command of an operator, whose name is kept in the log. */
export function operatorsContext(operator: string, at: string): CommandContext {
  const commandId = newId()
  return {
    commandId,
    correlationId: commandId,
    causationId: commandId,
    actor: { type: 'operator', id: operator },
    occurredAt: at,
  }
}
