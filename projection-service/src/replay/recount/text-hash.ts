const rotated = (value: number, by: number): number => (value << by) | (value >>> (32 - by))

const notAscii = /[^\0-\x7f]/

/**
 * PostgreSQL's `hashtext`, as an unsigned number: Bob Jenkins' lookup3 over the bytes of the text, as its servers on
 * little-endian machines work it out. A sixth of what MD5 costs, which PostgreSQL knows as well.
 * @see https://github.com/postgres/postgres/blob/master/src/common/hashfn.c `hash_bytes`
 */
export function textHash(text: string): number {
  // A character for each byte.
  const bytes = notAscii.test(text) ? Buffer.from(text).toString('latin1') : text
  const { length } = bytes
  let a = (0x9e3779b9 + length + 3_923_095) | 0
  let b = a
  let c = a
  let at = 0
  for (; length - at >= 12; at += 12) {
    a = (a + word(bytes, at)) | 0
    b = (b + word(bytes, at + 4)) | 0
    c = (c + word(bytes, at + 8)) | 0
    a = ((a - c) | 0) ^ rotated(c, 4)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ rotated(a, 6)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ rotated(b, 8)
    b = (b + a) | 0
    a = ((a - c) | 0) ^ rotated(c, 16)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ rotated(a, 19)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ rotated(b, 4)
    b = (b + a) | 0
  }
  // The lowest byte of c belongs to the length.
  for (let rest = 0; at + rest < length; rest++) {
    const byte = bytes.charCodeAt(at + rest)
    if (rest < 4) a = (a + (byte << (8 * rest))) | 0
    else if (rest < 8) b = (b + (byte << (8 * (rest - 4)))) | 0
    else c = (c + (byte << (8 * (rest - 7)))) | 0
  }
  c = ((c ^ b) - rotated(b, 14)) | 0
  a = ((a ^ c) - rotated(c, 11)) | 0
  b = ((b ^ a) - rotated(a, 25)) | 0
  c = ((c ^ b) - rotated(b, 16)) | 0
  a = ((a ^ c) - rotated(c, 4)) | 0
  b = ((b ^ a) - rotated(a, 14)) | 0
  c = ((c ^ b) - rotated(b, 24)) | 0
  return c >>> 0
}

const word = (bytes: string, at: number): number =>
  bytes.charCodeAt(at) |
  (bytes.charCodeAt(at + 1) << 8) |
  (bytes.charCodeAt(at + 2) << 16) |
  (bytes.charCodeAt(at + 3) << 24)
