/** Objects and lists within each other; the deepest body of ours has four. What is read may be walked by functions that call themselves. */
const depthMax = 32
/** Objects, lists and what stands between commas: reading a value costs some hundred times what it costs to send one. */
const valuesMax = 1_000
/** A name is repeated to its sender up to here. */
const nameShownMax = 100

/** @returns the place of the quotation mark that ends the string, or the text's end. */
function endOfString(text: string, start: number): number {
  let i = start + 1
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i
}

/** Names that are written differently may be one: `"\u0061"` is `"a"`. What is no JSON is left to the parser. */
function nameOf(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  try {
    return String(JSON.parse(literal))
  } catch {
    return literal
  }
}

/**
 * Looks through a JSON text before it is parsed: once, without calling itself. Whether it is JSON at all is the parser's to say.
 * @returns why it is refused: it is nested too deep, holds too many values, or names a member of an object twice, of which some readers
 *   take the first and others the last (RFC 8259 § 4). `undefined`: none of these.
 */
export function jsonFault(text: string): string | undefined {
  /** What is open: the names of an object's members so far, or `undefined` for a list. */
  const open: (Set<string> | undefined)[] = []
  let values = 0
  let isName = false
  for (let i = 0; i < text.length; i++)
    switch (text[i]) {
      case '"': {
        const end = endOfString(text, i)
        const names = open.at(-1)
        if (isName && names) {
          const name = nameOf(text.slice(i, end + 1))
          if (names.has(name)) return `The member "${name.slice(0, nameShownMax)}" stands twice in one object.`
          names.add(name)
        }
        isName = false
        i = end
        break
      }
      case '{':
      case '[':
        isName = text[i] === '{'
        open.push(isName ? new Set() : undefined)
        if (open.length > depthMax) return `The body is nested deeper than ${depthMax}.`
        if (++values > valuesMax) return `The body holds more than ${valuesMax} values.`
        break
      case '}':
      case ']':
        isName = false
        open.pop()
        break
      case ',':
        isName = open.at(-1) !== undefined
        if (++values > valuesMax) return `The body holds more than ${valuesMax} values.`
    }
  return undefined
}
