import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, importJWK, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { Role, SessionId, UserId } from '@annals/contracts'
import { newId } from '@annals/platform/ids'

/** What an access token says about its bearer. */
export interface Principal {
  userId: UserId
  sessionId: SessionId
  roles: readonly Role[]
  /** Epoch seconds. */
  expiresAt: number
}

export interface AccessTokens {
  /** A JWT (RFC 7519) signed with EdDSA; valid for `lifeSeconds`. */
  issue(principal: Omit<Principal, 'expiresAt'>): Promise<string>
  /** @returns `undefined` for everything that is not a valid token of ours: wrong key, issuer, audience, form or time. */
  verify(token: string): Promise<Principal | undefined>
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

/** The one algorithm: a token that names another is refused, whatever its signature. */
const algorithm = 'EdDSA'
/** Clocks of our processes differ by less. */
const clockToleranceSeconds = 5
/** Tokens whose signature was checked: 300 bytes each, so 3 MB. A verification costs more than all else in a small command. */
const verifiedMax = 10_000

const Claims = z.object({ sub: UserId, sid: SessionId, roles: z.array(Role), exp: z.int() })

/** @throws Error when the key is not a private Ed25519 key. */
export async function createAccessTokens(options: AccessTokenOptions): Promise<AccessTokens> {
  const { privateJwk, issuer, audience, lifeSeconds } = options
  if (privateJwk.kty !== 'OKP' || privateJwk.crv !== 'Ed25519' || typeof privateJwk.d !== 'string')
    throw new Error('JWT_PRIVATE_JWK must be a private OKP key on the curve Ed25519')
  const kid = privateJwk.kid ?? (await calculateJwkThumbprint(privateJwk))
  const { d: _, ...publicJwk } = privateJwk
  const privateKey = (await importJWK(privateJwk, algorithm)) as CryptoKey
  const publicKey = (await importJWK(publicJwk, algorithm, { extractable: true })) as CryptoKey
  // Exported again, so that nothing but the public members of the key goes out.
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' }] }
  const verified = new LRUCache<string, Principal>({ max: verifiedMax })

  async function check(token: string): Promise<Principal | undefined> {
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        issuer,
        audience,
        algorithms: [algorithm],
        clockTolerance: clockToleranceSeconds,
        typ: 'at+jwt',
      })
      const { sub, sid, roles, exp } = Claims.parse(payload)
      return { userId: sub, sessionId: sid, roles, expiresAt: exp }
    } catch {
      return undefined
    }
  }

  return {
    issue: ({ userId, sessionId, roles }) =>
      new SignJWT({ sid: sessionId, roles: [...roles] })
        .setProtectedHeader({ alg: algorithm, kid, typ: 'at+jwt' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(userId)
        .setJti(newId())
        .setIssuedAt()
        .setExpirationTime(`${lifeSeconds}s`)
        .sign(privateKey),

    async verify(token) {
      // The hash stands for the token: a dump of the process's memory hands out fewer of them.
      const name = createHash('sha256').update(token).digest('base64')
      const nowSeconds = Date.now() / 1000
      let principal = verified.get(name)
      if (!principal) {
        principal = await check(token)
        if (principal) verified.set(name, principal)
      }
      return principal && nowSeconds < principal.expiresAt + clockToleranceSeconds ? principal : undefined
    },

    jwks,
    lifeSeconds,
  }
}
