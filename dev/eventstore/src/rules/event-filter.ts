import { RE2JS, RE2JSException } from 're2js'

/** Which events a filtered read or subscription of $all wants. */
export interface EventFilter {
  on: 'stream' | 'type'
  /** @returns whether an event of that stream or type is wanted */
  matches(name: string): boolean
}

export type FilterExpression = { regex: string } | { prefixes: readonly string[] }

/** A filter's regex is short; a longer one is a mistake or an attack. */
const REGEX_LENGTH_MAX = 2_000
/** As many prefixes as a reader could plausibly name. */
const PREFIXES_MAX = 1_000
/** Names seen are few (types) or come in runs (streams); beyond this the memory of decisions starts anew. */
const REMEMBERED_MAX = 10_000

/** @throws RangeError with a sentence for the client when the expression cannot be used */
export function eventFilter(on: EventFilter['on'], expression: FilterExpression): EventFilter {
  const decide = 'regex' in expression ? byRegex(expression.regex) : byPrefix(expression.prefixes)
  const remembered = new Map<string, boolean>()
  return {
    on,
    matches(name) {
      const known = remembered.get(name)
      if (known !== undefined) return known
      if (remembered.size >= REMEMBERED_MAX) remembered.clear()
      const wanted = decide(name)
      remembered.set(name, wanted)
      return wanted
    },
  }
}

function byRegex(regex: string): (name: string) => boolean {
  if (regex.length > REGEX_LENGTH_MAX)
    throw new RangeError(`filter regex is longer than ${REGEX_LENGTH_MAX} characters`)
  // RE2's time grows with the length of the name only: no expression keeps the server from its other calls.
  try {
    const compiled = RE2JS.compile(regex)
    return (name) => compiled.matcher(name).find()
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    throw new RangeError(
      `filter regex is no expression that RE2 knows (it has no lookaround and no backreferences): ${error.message}`,
    )
  }
}

function byPrefix(prefixes: readonly string[]): (name: string) => boolean {
  if (prefixes.length > PREFIXES_MAX) throw new RangeError(`filter has more than ${PREFIXES_MAX} prefixes`)
  return (name) => prefixes.some((prefix) => name.startsWith(prefix))
}
