import { stringifySetCookie } from 'cookie'
import { csrfProof, sessionCookies, type AnswerHeaders } from '@annals/platform/api'
import type { Tokens } from './open-session'

export interface TokenCookies {
  /** What a page shows with each request that changes something: bound to the session, the same on all APIs, good as long as it. */
  csrfTokenOf(sessionId: string): string
  /** Headers that make a browser keep the tokens: out of reach of scripts, for this host only, never sent on behalf of another site. */
  headersOf(tokens: Pick<Tokens, 'accessToken' | 'refreshToken' | 'expiresIn'>): AnswerHeaders
  /** Headers that make it forget them. */
  readonly cleared: AnswerHeaders
}

/** @param refreshSeconds how long a browser keeps the refresh token: as long as a session may last. */
export function createTokenCookies({
  csrfKey,
  refreshSeconds,
}: {
  csrfKey: Buffer
  refreshSeconds: number
}): TokenCookies {
  const cookie = (name: string, value: string, maxAge: number) =>
    stringifySetCookie({ name, value, maxAge, path: '/', secure: true, httpOnly: true, sameSite: 'strict' })
  return {
    csrfTokenOf: (sessionId) => csrfProof(csrfKey, sessionId),
    headersOf: ({ accessToken, refreshToken, expiresIn }) => ({
      'set-cookie': [
        cookie(sessionCookies.access, accessToken, expiresIn),
        cookie(sessionCookies.refresh, refreshToken, refreshSeconds),
      ],
    }),
    cleared: { 'set-cookie': Object.values(sessionCookies).map((name) => cookie(name, '', 0)) },
  }
}
