import { builtInRoles, isBuiltIn, streamOf, type Permission, type Role } from '@annals/contracts'
import type { Execute } from '../core/execute'
import { roleDecider } from './domain/role'

/** What roles permit together. A role that is not defined permits nothing. @throws as `execute.load` does. */
export type PermissionsOf = (roles: readonly Role[]) => Promise<readonly Permission[]>

/** Custom roles are read from their streams whenever a token is made: nearly nobody has one, and there is nothing to go stale. */
export const createPermissionsOf =
  (execute: Pick<Execute, 'load'>): PermissionsOf =>
  async (roles) => {
    const permitted = new Set<Permission>()
    for (const role of roles) for (const name of await permissionsOfOne(execute, role)) permitted.add(name)
    return [...permitted].toSorted()
  }

async function permissionsOfOne(execute: Pick<Execute, 'load'>, role: Role): Promise<readonly Permission[]> {
  if (isBuiltIn(role)) return builtInRoles[role].permissions
  const { state } = await execute.load(roleDecider, streamOf.role(role))
  return state.status === 'defined' ? state.permissions : []
}
