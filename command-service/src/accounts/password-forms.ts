import { createHmac } from 'node:crypto'
import { passwordFault } from '@annals/contracts'

/**
 * Forms of a password's hash, as the log keeps it:
 *
 * - v2, which is written today: `$annals$v2$k=<key id>$2b$<cost>$<salt and digest>`. bcrypt of the base64 of HMAC-SHA-384 of the
 *   password (UTF-8, form C) under a key of PASSWORD_PEPPER. These are 64 characters, which bcrypt reads as a whole: nothing is
 *   cut at its 72 bytes or at a NUL. The key id is 16 hex digits that say nothing about the key.
 * - v1, of former releases and of other systems: `$2b$<cost>$<salt and digest>`, bcrypt of the password itself, also as `$2a$` and
 *   `$2y$`, which are other names of the same. A password is compared only if bcrypt reads all of it.
 */
export interface StoredHash {
  cost: number
  /** What bcrypt takes. */
  bcrypt: string
  /** Names the key of form v2; `undefined` in form v1. */
  keyId: string | undefined
}

/** A hash of a higher cost would hold a thread for more than two seconds at each login; none is made here. */
export const costMax = 15
/** bcrypt reads no further. */
const bcryptBytesMax = 72

const written = /^(?:\$annals\$v2\$k=([0-9a-f]{16}))?\$2([aby])\$(\d\d)(\$[./A-Za-z0-9]{53})$/

/** @returns `undefined` for what is no hash of ours, or costs too much: it matches nothing. */
export function parseHash(text: string): StoredHash | undefined {
  const [, keyId, , digits, rest] = written.exec(text) ?? []
  const cost = Number(digits)
  return cost >= 4 && cost <= costMax ? { cost, bcrypt: `$2b$${digits}${rest}`, keyId } : undefined
}

export const writeHash = (keyId: string, bcrypt: string) => `$annals$v2$k=${keyId}${bcrypt}`

/** A key of PASSWORD_PEPPER and its name. */
export interface Pepper {
  id: string
  key: Buffer
}

export interface Peppers {
  /** Hashes are made with it. */
  readonly current: Pepper
  /** `undefined`: it is not configured here. */
  of(id: string): Pepper | undefined
}

/** @param keys of 32 bytes; the first makes new hashes, all of them compare. */
export function peppersOf(keys: readonly [Buffer, ...Buffer[]]): Peppers {
  const pepperOf = (key: Buffer): Pepper => ({
    id: createHmac('sha256', key).update('annals password pepper id v1').digest('hex').slice(0, 16),
    key,
  })
  const known = new Map(keys.map(pepperOf).map((pepper) => [pepper.id, pepper]))
  return { current: pepperOf(keys[0]), of: (id) => known.get(id) }
}

/** What bcrypt is given in form v2. @param password canonical. */
export const preHash = ({ key }: Pepper, password: string): string =>
  createHmac('sha384', key).update(password).digest('base64')

/** Whether bcrypt reads the whole of a password, as in form v1 it has to. */
export const isReadWhole = (password: string): boolean =>
  passwordFault(password) === undefined && Buffer.byteLength(password) <= bcryptBytesMax
