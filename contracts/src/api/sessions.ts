import { z } from 'zod'
import { KnownEmailAddress } from '../email'
import { Role } from '../events/accounts'
import { SessionId, UserId } from '../ids'
import { passwordUnitsMax } from './accounts'
import { consistencyToken } from './common'

export const LoginRequest = z.strictObject({
  email: KnownEmailAddress,
  password: z.string().min(1).max(passwordUnitsMax),
})
export const RefreshRequest = z.strictObject({
  refreshToken: z
    .string()
    .min(1)
    .max(400)
    .optional()
    .describe('Left out by a page whose tokens are cookies; needed by everybody else'),
})

/** How a client wants its tokens. */
export const TokenDelivery = z
  .enum(['body', 'cookie'])
  .optional()
  .describe('`cookie`, where the deployment allows it: tokens come as cookies that no script can read. Default: `body`')

const sessionFacts = {
  expiresIn: z.int().describe('Seconds until the access token expires'),
  sessionId: SessionId,
  userId: UserId,
  consistencyToken,
}
export const TokenResponse = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  refreshToken: z.string().describe('Valid once; the answer to its use brings the next one'),
  ...sessionFacts,
})
export const CookieTokenResponse = z.object({
  tokenType: z.literal('Cookie'),
  csrfToken: z.string().describe('To be sent as the header `CSRF-Token` with whatever changes something'),
  ...sessionFacts,
})
/** What a login and a refresh answer. */
export const SessionResponse = z.discriminatedUnion('tokenType', [TokenResponse, CookieTokenResponse])

/** An address is proved. */
export const VerifyEmailResponse = z.object({
  userId: UserId,
  consistencyToken,
  session: SessionResponse.nullable().describe('Of who has just registered; null when the same answer comes again'),
})

/** Which sessions go on. It has to be said, so that nobody ends the session at hand by leaving it out. */
export const EndSessionsQuery = z.strictObject({ except: z.literal('current') })

/** One proof, of a kind that the account has. */
export const StepUpRequest = z.union([z.strictObject({ password: z.string().min(1).max(passwordUnitsMax) })])
/** No refresh token: the one that the session has stays in force. */
const steppedUp = { authenticatedAt: z.iso.datetime().describe('When the session counts as authenticated from now on') }
export const StepUpResponse = z.discriminatedUnion('tokenType', [
  TokenResponse.omit({ refreshToken: true }).extend(steppedUp),
  CookieTokenResponse.extend(steppedUp),
])

export const ValidateResponse = z.object({
  active: z.literal(true),
  userId: UserId,
  sessionId: SessionId,
  roles: z.array(Role),
  permissions: z.array(z.string()),
  expiresAt: z.iso.datetime(),
})
