import { isBuiltIn, KnownEmailAddress, streamOf, UserId, type Role } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { emailReservationDecider } from '../accounts/domain/email-reservation'
import { roleDecider } from '../accounts/domain/role'
import { Rejected } from '../core/rejected'
import { grantRole, userDecider } from '../accounts/domain/user'
import type { AddressHash } from '../accounts/commands/registration'
import type { Execute } from '../core/execute'

export interface GrantRole {
  /** An e-mail address or a user id. */
  who: string
  role: Role
  /** Who grants it: kept in the log. */
  operator: string
  at: string
}

/**
 * @returns the user and whether the role is new to them.
 * @throws Rejected `user-not-found`; `role-not-found`; z.ZodError when `who` is neither an address nor an id.
 */
export async function grantRoleTo(execute: Execute, addressHash: AddressHash, { who, role, operator, at }: GrantRole) {
  const userId = UserId.safeParse(who).success ? who : await userOf(execute, addressHash(KnownEmailAddress.parse(who)))
  await assertRole(execute, role)
  const commandId = newId()
  const { appended } = await execute(userDecider, {
    stream: streamOf.user(userId),
    context: {
      commandId,
      correlationId: commandId,
      causationId: commandId,
      actor: { type: 'operator', id: operator },
      occurredAt: at,
    },
    decide: grantRole({ role }),
  })
  return { userId, granted: appended }
}

async function assertRole(execute: Execute, role: Role): Promise<void> {
  if (isBuiltIn(role)) return
  const { state } = await execute.load(roleDecider, streamOf.role(role))
  if (state.status === 'none') throw new Rejected('role-not-found')
}

async function userOf(execute: Execute, hash: string): Promise<UserId> {
  const { state } = await execute.load(emailReservationDecider, streamOf.emailReservation(hash))
  if (state.status !== 'reserved') throw new Rejected('user-not-found')
  return state.userId
}
