import { createHash, randomBytes } from 'node:crypto'
import type { FactorId } from '@annals/contracts'

/** As many as fit on a sheet of paper; a new set is made before the last is used. */
const codesOfASet = 10
/** Without i, l, o and u: what is read from paper is typed again (Crockford's Base32). */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
/** 80 bits: nobody finds a code whose hash they have. So the hash needs no salt of its own and no slowness. */
const codeBytes = 10

/** @returns codes of 16 characters in groups of four. */
export const newRecoveryCodes = (): string[] => Array.from({ length: codesOfASet }, newCode)

function newCode(): string {
  let bits = BigInt(`0x${randomBytes(codeBytes).toString('hex')}`)
  let code = ''
  while (code.length < 16) {
    code += alphabet[Number(bits & 31n)]
    bits >>= 5n
  }
  return code.replaceAll(/.{4}(?=.)/g, '$&-')
}

/** What people do to a code that they type: capitals, blanks, and letters that look like digits. */
const typed = (code: string): string =>
  code.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')

/** SHA-256, hex: what is kept of a code, sealed as a secret. It is good for this factor only. */
export const recoveryCodeHash = (factorId: FactorId, code: string): string =>
  createHash('sha256')
    .update(`${factorId}|${typed(code)}`)
    .digest('hex')
