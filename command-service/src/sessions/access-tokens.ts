import { calculateJwkThumbprint, exportJWK, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import type { Principal } from '@annals/contracts'
import { accessTokenAlgorithm, accessTokenType } from '@annals/platform/access-tokens'
import { newId } from '@annals/platform/ids'

export interface AccessTokens {
  /** A JWT (RFC 7519) signed with EdDSA; valid for `lifeSeconds`. */
  issue(principal: Omit<Principal, 'expiresAt' | 'issuedAt'>): Promise<string>
  /** Checks the tokens issued here. */
  readonly publicKey: CryptoKey
  /** The public keys, as RFC 7517 has them. */
  readonly jwks: { keys: JWK[] }
  readonly lifeSeconds: number
}

export interface AccessTokenOptions {
  /** Private key: OKP, Ed25519. Without `kid` its thumbprint (RFC 7638) is taken. */
  privateJwk: JWK
  issuer: string
  audience: string
  lifeSeconds: number
}

/** @throws Error when the key is not a private Ed25519 key. */
export async function createAccessTokens(options: AccessTokenOptions): Promise<AccessTokens> {
  const { privateJwk, issuer, audience, lifeSeconds } = options
  if (privateJwk.kty !== 'OKP' || privateJwk.crv !== 'Ed25519' || typeof privateJwk.d !== 'string')
    throw new Error('JWT_PRIVATE_JWK must be a private OKP key on the curve Ed25519')
  const kid = privateJwk.kid ?? (await calculateJwkThumbprint(privateJwk))
  const { d: _, ...publicJwk } = privateJwk
  const privateKey = (await importJWK(privateJwk, accessTokenAlgorithm)) as CryptoKey
  const publicKey = (await importJWK(publicJwk, accessTokenAlgorithm, { extractable: true })) as CryptoKey
  // Exported again, so that nothing but the public members of the key goes out.
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: accessTokenAlgorithm, use: 'sig' }] }
  return {
    issue: ({ userId, sessionId, roles, permissions, epoch, authenticatedAt }) =>
      new SignJWT({
        sid: sessionId,
        roles: [...roles],
        permissions: [...permissions],
        epoch,
        auth_time: authenticatedAt,
      })
        .setProtectedHeader({ alg: accessTokenAlgorithm, kid, typ: accessTokenType })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(userId)
        .setJti(newId())
        .setIssuedAt()
        .setExpirationTime(`${lifeSeconds}s`)
        .sign(privateKey),

    publicKey,
    jwks,
    lifeSeconds,
  }
}
