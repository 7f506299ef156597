import { createHmac, hkdfSync } from 'node:crypto'
import { z } from 'zod'
import { AuthenticationMethod, CeremonyId, SecurityEpoch, SessionId, UserId } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { createSignedText } from '@annals/platform/signed-text'
import { Rejected } from '../../core/rejected'

const ceremonyOf = { ceremonyId: CeremonyId, tenant: z.string(), expiresAt: z.iso.datetime() }

/** What a ceremony token says. Its purpose is part of it: a token opens what it was made for and nothing else. */
const CeremonyClaims = z.discriminatedUnion('purpose', [
  /** Somebody has shown one factor of an account, and has to show another. */
  z.strictObject({
    ...ceremonyOf,
    purpose: z.literal('second-factor'),
    userId: UserId,
    epoch: SecurityEpoch,
    methods: z.array(AuthenticationMethod).min(1).max(3),
  }),
  /** Somebody will say by a passkey who they are. */
  z.strictObject({ ...ceremonyOf, purpose: z.literal('passkey-login') }),
  /** Who is logged in registers a passkey, in this session. */
  z.strictObject({
    ...ceremonyOf,
    purpose: z.literal('passkey-registration'),
    userId: UserId,
    sessionId: SessionId,
  }),
])
type CeremonyClaims = z.infer<typeof CeremonyClaims>
export type CeremonyPurpose = CeremonyClaims['purpose']
export type ClaimsOf<P extends CeremonyPurpose> = Extract<CeremonyClaims, { purpose: P }>
type Begun = 'ceremonyId' | 'tenant' | 'expiresAt'
type Subject<P extends CeremonyPurpose> = Omit<ClaimsOf<P>, Begun | 'purpose'>

/**
 * The half-way house of logins and of passkeys that are being registered. Nothing is stored when one begins: a signed
 * token says all of it, and is no access token (it is no JWT). That it comes to its end once is a fact in the log, see
 * `domain/ceremony.ts`.
 */
export interface Ceremonies {
  /** @param at ISO 8601: now. */
  begin<P extends CeremonyPurpose>(
    purpose: P,
    subject: Subject<P>,
    at: string,
  ): { token: string; ceremonyId: CeremonyId; expiresAt: string }
  /** @throws Rejected `challenge-failed`: it was not made here, for another purpose, or too long ago. */
  open<P extends CeremonyPurpose>(purpose: P, token: string, at: string): ClaimsOf<P>
  /** What an authenticator signs in it: 256 bits, base64url. Nobody knows it who was not told. */
  challengeOf(ceremonyId: CeremonyId): string
}

/** A second factor is somewhere in the flat; an authenticator is at hand. NIST SP 800-63B-4 bears ten minutes for a code. */
const lifeMs: Record<CeremonyPurpose, number> = {
  'second-factor': 10 * 60_000,
  'passkey-login': 5 * 60_000,
  'passkey-registration': 5 * 60_000,
}

/** @param key 32 bytes; what is used is derived from it (HKDF, RFC 5869), so that no other use of it is weakened. */
export function createCeremonies(key: Buffer, tenant: string): Ceremonies {
  const tokens = createSignedText(key, 'ceremony token v1')
  const challengeKey = Buffer.from(hkdfSync('sha256', key, '', 'annals ceremony challenge v1', 32))

  function read(token: string): CeremonyClaims | undefined {
    const text = tokens.open(token)
    if (text === undefined) return undefined
    return CeremonyClaims.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString())).data
  }

  return {
    begin(purpose, subject, at) {
      const ceremonyId = newId()
      const expiresAt = new Date(Date.parse(at) + lifeMs[purpose]).toISOString()
      const claims = { ...subject, ceremonyId, tenant, expiresAt, purpose }
      const token = tokens.sign(Buffer.from(JSON.stringify(claims)).toString('base64url'))
      return { token, ceremonyId, expiresAt }
    },
    open<P extends CeremonyPurpose>(purpose: P, token: string, at: string) {
      const claims = read(token)
      if (claims?.purpose !== purpose || claims.tenant !== tenant || at >= claims.expiresAt)
        throw new Rejected('challenge-failed')
      return claims as ClaimsOf<P>
    },
    challengeOf: (ceremonyId) =>
      createHmac('sha256', challengeKey).update(`${tenant}|${ceremonyId}`).digest('base64url'),
  }
}
