import { parse, v5 as uuidv5, v7 as uuidv7 } from 'uuid'

/** Namespace of all ids that Annals derives; chosen once, for ever: another one would break every idempotent repeat. */
const namespace = parse('6f5c3a52-0d3e-5c0e-9a4e-8d1c2b7f4a10')

/**
 * The same parts give the same id, always: UUIDv5 (RFC 9562 § 5.5) of the parts joined by a character that none may hold.
 * @throws Error when a part contains U+001F, the separator.
 */
export function derivedId(...parts: readonly (string | number)[]): string {
  const texts = parts.map(String)
  if (texts.some((text) => text.includes('\u001f'))) throw new Error('a part of a derived id holds the separator')
  // As bytes: the library's own way from a text to bytes takes longer than the hash.
  return uuidv5(Buffer.from(texts.join('\u001f')), namespace)
}

/** A new id that sorts by time: UUIDv7 (RFC 9562 § 5.7). */
export const newId = (): string => uuidv7()
