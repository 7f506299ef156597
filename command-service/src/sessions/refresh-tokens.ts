import { createHmac, timingSafeEqual } from 'node:crypto'
import { SessionId } from '@annals/contracts'

export interface RefreshTokens {
  /** @param generation from 1, one more with every use. */
  issue(sessionId: SessionId, generation: number): string
  /** @returns `undefined` when the text is no token that was made with this key for this tenant. */
  read(token: string): { sessionId: SessionId; generation: number } | undefined
}

/**
 * `<sessionId>.<generation>.<mac>`, mac = HMAC-SHA-256 over tenant, session and generation, base64url. Nothing secret is
 * stored anywhere: the session's stream says which generation is in force, the key says that we made it.
 */
export function createRefreshTokens(key: Buffer, tenant: string): RefreshTokens {
  const macOf = (sessionId: string, generation: number) =>
    createHmac('sha256', key).update(`${tenant}|${sessionId}|${generation}`).digest()

  return {
    issue: (sessionId, generation) =>
      `${sessionId}.${generation}.${macOf(sessionId, generation).toString('base64url')}`,
    read(token) {
      const parts = /^([0-9a-f-]{36})\.([1-9]\d{0,8})\.([\w-]{43})$/.exec(token)
      if (!parts || !SessionId.safeParse(parts[1]).success) return undefined
      const sessionId = parts[1]!
      const generation = Number(parts[2])
      const mac = Buffer.from(parts[3]!, 'base64url')
      const expected = macOf(sessionId, generation)
      return mac.length === expected.length && timingSafeEqual(mac, expected) ? { sessionId, generation } : undefined
    },
  }
}
