import { LRUCache } from 'lru-cache'
import { builtInRoles, isBuiltIn, streamOf, type Permission, type Principal, type Role } from '@annals/contracts'
import type { Execute } from '../core/execute'
import { roleDecider } from './domain/role'

/** What roles permit together. A role that is not defined permits nothing. @throws as `execute.load` does. */
export type PermissionsOf = (roles: readonly Role[]) => Promise<readonly Permission[]>

/** Custom roles are read from their streams whenever a token is made: nearly nobody has one, and there is nothing to go stale. */
export const createPermissionsOf =
  (execute: Pick<Execute, 'load'>): PermissionsOf =>
  (roles) =>
    permissionsOfAll(roles, (role) => permissionsOfOne(execute, role))

async function permissionsOfAll(roles: readonly Role[], ofOne: (role: Role) => Promise<readonly Permission[]>) {
  const permitted = new Set<Permission>()
  for (const role of roles)
    for (const name of isBuiltIn(role) ? builtInRoles[role].permissions : await ofOne(role)) permitted.add(name)
  return [...permitted].toSorted()
}

async function permissionsOfOne(execute: Pick<Execute, 'load'>, role: Role): Promise<readonly Permission[]> {
  const { state } = await execute.load(roleDecider, streamOf.role(role))
  return state.status === 'defined' ? state.permissions : []
}

/** Whether a token claims nothing that its roles do not permit any more. @throws as `execute.load` does. */
export type ClaimsOnlyPermitted = (principal: Pick<Principal, 'roles' | 'permissions'>) => Promise<boolean>

/** What a custom role permits is read once in so many ms: half of what a change of it may take to be felt. */
const recheckMs = 1_000
const rolesKept = 1_000

export function createClaimsCheck(execute: Pick<Execute, 'load'>): ClaimsOnlyPermitted {
  const lately = new LRUCache<Role, Promise<readonly Permission[]>>({ max: rolesKept, ttl: recheckMs })
  const ofOne = (role: Role) => {
    const known = lately.get(role)
    if (known) return known
    const reading = permissionsOfOne(execute, role)
    lately.set(role, reading)
    // What could not be read is asked for again.
    reading.catch(() => lately.delete(role))
    return reading
  }
  return async ({ roles, permissions }) => {
    const permitted = await permissionsOfAll(roles, ofOne)
    return permissions.every((name) => permitted.includes(name))
  }
}
