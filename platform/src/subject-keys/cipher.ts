import { createCipheriv, createDecipheriv, hkdfSync, randomFillSync } from 'node:crypto'
import type { MasterKey } from './master-keys'

/**
 * AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce per message. One data key seals the few events of one person,
 * far below the 2^32 messages at which random nonces stop being safe.
 * Layout, base64url: version (1 byte, 1) | nonce (12) | tag (16) | ciphertext.
 */
const version = 1
const nonceBytes = 12
const tagBytes = 16
const headerBytes = 1 + nonceBytes + tagBytes

/** Random bytes for the next nonces: to fetch a thousand at once takes as long as to fetch twelve bytes. */
const pool = Buffer.alloc(1_000 * nonceBytes)
let used = pool.length

/** Each part of the pool is handed out once. */
function freshNonce(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  return pool.subarray(used, (used += nonceBytes))
}

function seal(plain: Buffer, key: Buffer, context: string): Buffer {
  const nonce = freshNonce()
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([Buffer.from([version]), nonce, cipher.getAuthTag(), body])
}

function open(sealed: Buffer, key: Buffer, context: string): Buffer {
  if (sealed.length < headerBytes || sealed[0] !== version) throw new Error('not a sealed value of a known version')
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + nonceBytes))
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(sealed.subarray(1 + nonceBytes, headerBytes))
  return Buffer.concat([decipher.update(sealed.subarray(headerBytes)), decipher.final()])
}

/** @param context authenticated, not hidden: opening under another context fails. */
export const sealText = (plain: string, dataKey: Buffer, context: string): string =>
  seal(Buffer.from(plain), dataKey, context).toString('base64url')

/** @throws Error when the key or the context is another, or the text was changed. */
export const openText = (sealed: string, dataKey: Buffer, context: string): string =>
  open(Buffer.from(sealed, 'base64url'), dataKey, context).toString()

/** A fresh or known data key, wrapped for storage. */
export const wrapKey = (dataKey: Buffer, master: MasterKey, owner: string): Buffer => seal(dataKey, master.key, owner)
export const unwrapKey = (wrapped: Buffer, master: MasterKey, owner: string): Buffer => open(wrapped, master.key, owner)

/**
 * The key that seals a person's secrets: HKDF-SHA-256 (RFC 5869) of a secret key, salted with the person's data key. Whoever lacks one
 * of the two has nothing: readers have no secret key, and an erased person has no data key.
 */
export const secretSealingKey = (secretKey: Buffer, dataKey: Buffer): Buffer =>
  Buffer.from(hkdfSync('sha256', secretKey, dataKey, 'annals secrets v1', 32))
