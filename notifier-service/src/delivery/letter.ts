import type { AnnalsEvent, ChallengePurpose } from '@annals/contracts'

/**
 * Where the link of a challenge leads: a page of whoever runs Annals, which hands the token over with a POST. The token stands in
 * the fragment, which no server and no proxy ever sees, and to look at the page consumes nothing: scanners of mail follow links.
 */
const pages: Record<ChallengePurpose, string> = {
  'verify-email': '/verify-email',
  'address-taken': '/login',
  invite: '/accept-invitation',
  'password-reset': '/reset-password',
  'change-email': '/confirm-email',
  'email-changed': '/undo-email',
  'change-phone': '/confirm-phone',
  'second-factor': '/login',
  'step-up': '/login',
  goodbye: '/',
}

/** @param publicUrl from the configuration, never from a request. */
export const linkOf = (publicUrl: string, purpose: ChallengePurpose, token: string | null): string =>
  `${publicUrl.replace(/\/+$/, '')}${pages[purpose]}${token === null ? '' : `#token=${encodeURIComponent(token)}`}`

/** What the template of a challenge is given: the secrets in clear, which stand nowhere but in the message. */
export function wordsOf({ data }: AnnalsEvent<'challenge.issued'>, publicUrl: string, now: number) {
  return {
    code: data.code ?? '',
    link: linkOf(publicUrl, data.purpose, data.token),
    minutes: String(Math.max(1, Math.ceil((Date.parse(data.expiresAt) - now) / 60_000))),
  }
}
