/** A greeting has room for so many characters. */
const lengthMax = 60

/**
 * The name as a mail may greet with it, or `null` to greet without. Anyone may register anyone's address under any name: a
 * name that carries an address to click or a message of its own is not repeated to the stranger who gets the mail.
 */
export function greetingName(name: string | null): string | null {
  if (name === null) return null
  const line = name.replaceAll(/[\p{C}\p{Z}]+/gu, ' ').trim()
  if (line === '' || line.length > lengthMax) return null
  return /:\/\/|www\.|@|[\p{L}\d]\.\p{L}{2,}|[<>[\]{}\\|]/iu.test(line) ? null : line
}
