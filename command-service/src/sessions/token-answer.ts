import { z } from 'zod'
import { keptLine, streamOf, TokenDelivery, userAgentForm } from '@annals/contracts'
import { HttpProblem, type Browser } from '@annals/platform/api'
import type { ConsistencyTokens } from '../core/consistency-tokens'
import type { Tokens } from './open-session'
import type { TokenCookies } from './token-cookies'

/** What every answer with tokens needs. */
export interface TokenAnswerDeps {
  consistencyTokens: ConsistencyTokens
  /** `undefined`: tokens go out in bodies only. */
  tokenCookies: TokenCookies | undefined
}

export const deliveryHeaders = z.object({ 'token-delivery': TokenDelivery })

interface Asked {
  headers: z.output<typeof deliveryHeaders>
  browser: Browser | undefined
}

/**
 * Whether a client gets its tokens as cookies.
 * @throws HttpProblem `invalid-request` where cookies are off; `cross-site-refused` for a page that may not have them.
 */
export function wantsCookies({ headers, browser }: Asked): boolean {
  if (headers['token-delivery'] !== 'cookie') return false
  if (!browser)
    throw new HttpProblem('invalid-request', {
      errors: [{ pointer: '/headers/token-delivery', message: 'must be "body": this deployment sends no cookies' }],
    })
  browser.requireOwnPage()
  return true
}

/** Tokens as their client wants them. */
export async function answerOf(
  { revision, position, ...tokens }: Tokens,
  isForCookies: boolean,
  { consistencyTokens, tokenCookies }: TokenAnswerDeps,
) {
  const consistencyToken = await consistencyTokens.of({
    stream: streamOf.session(tokens.sessionId),
    revision,
    position,
  })
  if (!isForCookies || !tokenCookies) return { body: { ...tokens, tokenType: 'Bearer' as const, consistencyToken } }
  const { accessToken: _access, refreshToken: _refresh, ...facts } = tokens
  const csrfToken = tokenCookies.csrfTokenOf(tokens.sessionId)
  return {
    body: { ...facts, tokenType: 'Cookie' as const, csrfToken, consistencyToken },
    headers: tokenCookies.headersOf(tokens),
  }
}

/** Where a login comes from, for its owner to recognise: mended rather than refused. */
export const clientOf = ({ ip, userAgent }: { ip: string; userAgent: string | undefined }) => ({
  ip,
  userAgent: keptLine(userAgent ?? '', userAgentForm),
})
