import { z } from 'zod'
import { Role, SecurityEpoch } from '../events/accounts'
import { SessionId, UserId } from '../ids'
import { permissionNames, type Permission } from './permissions'

/** Who sends a request. */
export interface Principal {
  userId: UserId
  sessionId: SessionId
  roles: readonly Role[]
  /** What the roles permitted when the token was made. */
  permissions: readonly Permission[]
  /** The epoch of the account in which the session began. */
  epoch: number
  /** Epoch seconds: when they last showed who they are. */
  authenticatedAt: number
  /** Epoch seconds. */
  issuedAt: number
  /** Epoch seconds. */
  expiresAt: number
}

/** What a request by cookie has to be proved for. */
export const sessionOf = ({ sessionId }: Pick<Principal, 'sessionId'>): string => sessionId

/**
 * What changes how somebody is known asks for proof that they are there now: an access token that was left open, or stolen,
 * is not enough. `stepUp` is the route by which a session gets such a proof.
 */
export const freshAuthentication = { maxAgeSeconds: 5 * 60, stepUp: '/api/v1/auth/step-up' } as const

const known = new Set<string>(permissionNames)

/**
 * What an access token claims, read as who bears it: RFC 9068, with `sid` (the session) and `auth_time` as OpenID Connect
 * names them. A permission that this release does not know permits nothing.
 */
export const AccessTokenClaims = z
  .object({
    sub: UserId,
    sid: SessionId,
    roles: z.array(Role),
    permissions: z.array(z.string()).max(200),
    epoch: SecurityEpoch,
    auth_time: z.int(),
    iat: z.int(),
    exp: z.int(),
  })
  .transform(({ sub, sid, roles, permissions, epoch, auth_time, iat, exp }): Principal => ({
    userId: sub,
    sessionId: sid,
    roles,
    permissions: permissions.filter((name): name is Permission => known.has(name)),
    epoch,
    authenticatedAt: auth_time,
    issuedAt: iat,
    expiresAt: exp,
  }))
