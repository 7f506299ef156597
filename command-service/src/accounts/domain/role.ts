import { isBuiltIn, permissionNames, type NewEvent, type Permission, type Role } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type RoleEventType = 'role.defined' | 'role.removed'

/** A role that is not built in. */
export type CustomRole =
  { status: 'none' } | { status: 'defined'; role: Role; permissions: readonly Permission[]; description: string }

const known = new Set<string>(permissionNames)

function evolve(_role: CustomRole, event: Past<RoleEventType>): CustomRole {
  switch (event.type) {
    case 'role.defined': {
      const { role, permissions, description } = event.data
      const permitted = permissions.filter((name): name is Permission => known.has(name))
      return { status: 'defined', role, permissions: permitted, description }
    }
    case 'role.removed':
      return { status: 'none' }
  }
}

export const roleDecider: Decider<CustomRole, RoleEventType> = {
  category: 'role',
  initial: { status: 'none' },
  evolve,
}

export interface DefineRole {
  role: Role
  permissions: Permission[]
  description: string
}

/** A role is what was said of it last; the same said again changes nothing. */
export const defineRole =
  ({ role, permissions, description }: DefineRole) =>
  (present: CustomRole): NewEvent<'role.defined'>[] => {
    if (isBuiltIn(role)) throw new Rejected('role-built-in')
    const wanted = [...new Set(permissions)].toSorted()
    const isSame =
      present.status === 'defined' &&
      present.description === description &&
      present.permissions.toSorted().join() === wanted.join()
    return isSame ? [] : [{ type: 'role.defined', data: { role, permissions: wanted, description } }]
  }

/** Who holds a role that was removed is permitted nothing by it. */
export const removeRole =
  ({ role }: { role: Role }) =>
  (present: CustomRole): NewEvent<'role.removed'>[] => {
    if (isBuiltIn(role)) throw new Rejected('role-built-in')
    return present.status === 'defined' ? [{ type: 'role.removed', data: { role } }] : []
  }
