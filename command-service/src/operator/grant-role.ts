import { isBuiltIn, streamOf, type Role } from '@annals/contracts'
import type { AddressHash } from '../accounts/commands/registration'
import { roleDecider } from '../accounts/domain/role'
import { grantRole, userDecider } from '../accounts/domain/user'
import type { Execute } from '../core/execute'
import { Rejected } from '../core/rejected'
import { accountNamed, operatorsContext } from './account-named'

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
  const userId = await accountNamed(execute, addressHash, who)
  await assertRole(execute, role)
  const { appended } = await execute(userDecider, {
    stream: streamOf.user(userId),
    context: operatorsContext(operator, at),
    decide: grantRole({ role }),
  })
  return { userId, granted: appended }
}

async function assertRole(execute: Execute, role: Role): Promise<void> {
  if (isBuiltIn(role)) return
  const { state } = await execute.load(roleDecider, streamOf.role(role))
  if (state.status === 'none') throw new Rejected('role-not-found')
}
