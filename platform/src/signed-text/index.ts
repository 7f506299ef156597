import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** Texts that travel through others and must come back as they were made here. */
export interface SignedText {
  /** @param text without a dot. @returns `<text>.<mac>` */
  sign(text: string): string
  /** @returns the text; `undefined` when it was not signed with this key for this purpose. */
  open(signed: string): string | undefined
}

/** 128 bits: a forger who could ask a million times a second would need longer than there is time. */
const macBytes = 16

/**
 * HMAC-SHA-256 (RFC 2104), cut to 128 bits, base64url. What keys it is derived (HKDF, RFC 5869), so that one key can sign for several
 * purposes, and what was signed for one is not taken for another.
 * @param key 32 bytes.
 */
export function createSignedText(key: Buffer, purpose: string): SignedText {
  const derived = Buffer.from(hkdfSync('sha256', key, '', `annals ${purpose}`, 32))
  const macOf = (text: string) => createHmac('sha256', derived).update(text).digest().subarray(0, macBytes)
  return {
    sign: (text) => `${text}.${macOf(text).toString('base64url')}`,
    open(signed) {
      const dot = signed.lastIndexOf('.')
      if (dot < 0) return undefined
      const text = signed.slice(0, dot)
      const mac = Buffer.from(signed.slice(dot + 1), 'base64url')
      return mac.length === macBytes && timingSafeEqual(mac, macOf(text)) ? text : undefined
    },
  }
}
