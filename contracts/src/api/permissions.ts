import type { Principal } from './principal'

/**
 * Who may call a route. The rule about whose things may be seen or changed (`own`) is in the decider, or in the
 * statement that reads. Things of another person are answered as if they did not exist.
 */
export const permissions = {
  public: { who: 'everybody', whose: '' },
  own: { who: 'whoever is logged in', whose: 'their own' },
  'own-or-admin': { who: 'whoever is logged in', whose: 'their own; administrators: of everybody' },
  admin: { who: 'administrators', whose: 'of everybody' },
} as const satisfies Record<string, { who: string; whose: string }>

export type Permission = keyof typeof permissions

/** Whether a person who is logged in may call a route at all. */
export function permits({ roles }: Pick<Principal, 'roles'>, permission: Permission): boolean {
  switch (permission) {
    case 'public':
    case 'own':
    case 'own-or-admin':
      return true
    case 'admin':
      return roles.includes('admin')
  }
}
