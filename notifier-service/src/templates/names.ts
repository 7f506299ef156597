import { hasVisible } from '@annals/contracts'

/** A greeting has room for so many characters. */
const lengthMax = 60

/**
 * What stands before a dot in a name without making an address of it: an initial, or a title, with a capital behind. Written with the
 * space that belongs there, it is none in any mail reader (`Dr.Rich` would be: "rich" is a top-level domain).
 */
const beforeDot = /(?<![\p{L}\d])(\p{Lu}|Dr|Prof|Dipl|Ing|Mag|Lic|Mr|Mrs|Ms|Mx|Rev|Fr|Sr|Jr|St|Ste|Sta)\.(?=\p{Lu})/gu

/**
 * The name as a mail may greet with it, or `null` to greet without. Anyone may register anyone's address under any name: a
 * name that carries an address to click or a message of its own is not repeated to the stranger who gets the mail.
 */
export function greetingName(name: string | null): string | null {
  if (name === null) return null
  const line = name
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .replaceAll(beforeDot, '$1. ')
    .trim()
  if (!hasVisible(line) || line.length > lengthMax) return null
  return /:\/\/|www\.|@|[\p{L}\d]\.\p{L}{2,}|[<>[\]{}\\|]/iu.test(line) ? null : line
}
