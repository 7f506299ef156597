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
export const RefreshRequest = z.strictObject({ refreshToken: z.string().min(1).max(400) })
export const TokenResponse = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiresIn: z.int().describe('Seconds until the access token expires'),
  refreshToken: z.string().describe('Valid once; the answer to its use brings the next one'),
  sessionId: SessionId,
  userId: UserId,
  consistencyToken,
})
export const ValidateResponse = z.object({
  active: z.literal(true),
  userId: UserId,
  sessionId: SessionId,
  roles: z.array(Role),
  expiresAt: z.iso.datetime(),
})
