import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { ChallengeId } from '@annals/contracts'

/**
 * The right answers to challenges. They are derived, so none is stored: whoever reads the log or the key table finds
 * nothing that could be compared with six digits.
 */
export interface ChallengeSecrets {
  /** Six digits. */
  codeOf(challengeId: ChallengeId): string
  /** For a link: `<challengeId>.<mac>`, mac = HMAC-SHA-256, base64url. */
  tokenOf(challengeId: ChallengeId): string
  /** In a time that does not depend on the code. */
  isCode(challengeId: ChallengeId, code: string): boolean
  /** @returns the challenge of a token; `undefined`: it was not made here. */
  readToken(token: string): ChallengeId | undefined
}

const digits = 6

/** @param key 32 bytes; what is used is derived from it (HKDF, RFC 5869), so that no other use of it is weakened. */
export function createChallengeSecrets(key: Buffer, tenant: string): ChallengeSecrets {
  const own = Buffer.from(hkdfSync('sha256', key, '', 'annals challenge v1', 32))
  const macOf = (use: 'code' | 'token', challengeId: string) =>
    createHmac('sha256', own).update(`${tenant}|${use}|${challengeId}`).digest()

  // 64 bits over a million codes: some are more frequent than others by one in 10^13.
  const codeOf = (challengeId: string) =>
    String(macOf('code', challengeId).readBigUInt64BE() % BigInt(10 ** digits)).padStart(digits, '0')

  return {
    codeOf,
    tokenOf: (challengeId) => `${challengeId}.${macOf('token', challengeId).toString('base64url')}`,
    isCode(challengeId, code) {
      const given = Buffer.from(code)
      const right = Buffer.from(codeOf(challengeId))
      return given.length === right.length && timingSafeEqual(given, right)
    },
    readToken(token) {
      const [, challengeId, mac] = /^([0-9a-f-]{36})\.([\w-]{43})$/.exec(token) ?? []
      if (challengeId === undefined || mac === undefined || !ChallengeId.safeParse(challengeId).success)
        return undefined
      const given = Buffer.from(mac, 'base64url')
      const right = macOf('token', challengeId)
      return given.length === right.length && timingSafeEqual(given, right) ? challengeId : undefined
    },
  }
}
