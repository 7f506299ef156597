import { z } from 'zod'
import { Role } from '../events/accounts'
import { SessionId, UserId } from '../ids'

/** What an access token claims (RFC 9068; `sid`, the session, as OpenID Connect names it), read as who bears it. */
export const AccessTokenClaims = z
  .object({ sub: UserId, sid: SessionId, roles: z.array(Role), exp: z.int() })
  .transform(({ sub, sid, roles, exp }): Principal => ({ userId: sub, sessionId: sid, roles, expiresAt: exp }))

/** Who sends a request. */
export interface Principal {
  userId: UserId
  sessionId: SessionId
  roles: readonly Role[]
  /** Epoch seconds. */
  expiresAt: number
}

export const isAdmin = ({ roles }: Pick<Principal, 'roles'>): boolean => roles.includes('admin')

/** What a request by cookie has to be proved for. */
export const sessionOf = ({ sessionId }: Pick<Principal, 'sessionId'>): string => sessionId
