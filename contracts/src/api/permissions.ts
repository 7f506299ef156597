import type { Principal } from './principal'

/**
 * Everything that somebody may do beyond their own affairs: a closed list. Roles give permissions, and an access token
 * carries them. No code asks for a role.
 */
export const permissions = {
  'users.read': 'see and search all accounts',
  'users.write': 'invite and import people, disable and enable accounts',
  'users.erase': 'erase accounts',
  'roles.read': 'see roles and what they permit',
  'roles.write': 'define roles, grant and revoke them',
  'sessions.read': 'see the sessions of everybody',
  'sessions.end': 'end the sessions of everybody',
  'service-accounts.read': 'see service accounts and their keys',
  'service-accounts.write': 'make and remove service accounts and their keys',
  'ip-rules.read': 'see which networks are let in',
  'ip-rules.write': 'change which networks are let in',
  'payments.read': 'see the payments of everybody',
  'payments.process': 'have the payments of everybody charged',
  'statistics.read': 'see totals of payments and of deliveries',
  'audit.read': 'see and export the audit trail',
} as const satisfies Record<string, string>

export type Permission = keyof typeof permissions

export const permissionNames = Object.keys(permissions) as Permission[]

/** The roles that are always there. A role of this name can not be defined by anybody. */
export const builtInRoles = {
  user: { description: 'A person with an account: their own affairs', permissions: [] },
  support: {
    description: 'Helps people with their accounts',
    permissions: ['users.read', 'users.write', 'roles.read', 'sessions.read', 'sessions.end', 'payments.read'],
  },
  finance: {
    description: 'Looks after payments',
    permissions: ['users.read', 'payments.read', 'payments.process', 'statistics.read'],
  },
  auditor: {
    description: 'Sees everything and changes nothing',
    permissions: permissionNames.filter((name) => name.endsWith('.read')),
  },
  admin: { description: 'May do everything', permissions: permissionNames },
} as const satisfies Record<string, { description: string; permissions: readonly Permission[] }>

/** Whether a role is one of those that are always there. */
export const isBuiltIn = (role: string): role is keyof typeof builtInRoles => Object.hasOwn(builtInRoles, role)

/**
 * Who may call a route. The rule about whose things may be seen or changed (`own`) is in the decider, or in the
 * statement that reads. Things of another person are answered as if they did not exist.
 * - `public`: everybody.
 * - `own`: whoever is logged in, about their own affairs.
 * - `own-or-<permission>`: the same; with the permission, about the affairs of everybody.
 * - `<permission>`: who has it.
 */
export type RouteAccess = 'public' | 'own' | `own-or-${Permission}` | Permission

/** @returns what the access comes to, in words. */
export function describeAccess(access: RouteAccess): { who: string; whose: string } {
  if (access === 'public') return { who: 'everybody', whose: '' }
  if (access === 'own') return { who: 'whoever is logged in', whose: 'their own' }
  const beyond = beyondOwn(access)
  return beyond
    ? { who: 'whoever is logged in', whose: `their own; with \`${beyond}\`: of everybody` }
    : { who: `whoever has \`${access}\``, whose: 'of everybody' }
}

/** @returns the permission of `own-or-<permission>`; `undefined`: the access is another. */
const beyondOwn = (access: RouteAccess): Permission | undefined =>
  access.startsWith('own-or-') ? (access.slice('own-or-'.length) as Permission) : undefined

/** The permission without which a route is closed; `undefined`: there is none, it is open to whoever is logged in. */
export const neededPermission = (access: RouteAccess): Permission | undefined =>
  access === 'public' || access === 'own' || beyondOwn(access) ? undefined : (access as Permission)

/** Whether somebody has a permission. */
export const has = ({ permissions: held }: Pick<Principal, 'permissions'>, permission: Permission): boolean =>
  held.includes(permission)

/** Whether somebody who is logged in may call a route at all. */
export function permits(principal: Pick<Principal, 'permissions'>, access: RouteAccess): boolean {
  const needed = neededPermission(access)
  return needed === undefined || has(principal, needed)
}
