import { z } from 'zod'
import { eventDefinitions, type EventType } from '../events/registry'

/** JSON Schema as zod writes it; only what our schemas use is looked at, anything else must stay equal. */
export type JsonSchema = { [keyword: string]: unknown }

export interface Incompatibility {
  /** JSON pointer into the event's data. */
  pointer: string
  /** `backward`: today's readers refuse what was written. `forward`: readers of the last release refuse what is written now. */
  direction: 'backward' | 'forward' | 'both'
  what: string
}

/** The promise that is asked for: `backward` when readers are always released first, `forward` when writers are. */
export type Direction = 'backward' | 'forward' | 'full'

/** @returns whether an incompatibility breaks that promise. */
export const breaks = (asked: Direction, { direction }: Incompatibility): boolean =>
  asked === 'full' || direction === 'both' || direction === asked

/** The data schemas of today's versions, by event type. */
export function currentSchemas(): Record<EventType, { version: number; schema: JsonSchema }> {
  const entries = Object.values(eventDefinitions).map(({ type, version, data }) => {
    const { $schema: _, ...schema } = z.toJSONSchema(data, { unrepresentable: 'any', io: 'output' }) as JsonSchema
    return [type, { version, schema }]
  })
  return Object.fromEntries(entries)
}

const record = (value: unknown): Record<string, JsonSchema> => (value ?? {}) as Record<string, JsonSchema>
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null
const typesOf = ({ type }: JsonSchema): unknown[] => (Array.isArray(type) ? type : [type])
const branchesOf = (schema: JsonSchema) => (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined
const equal = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/** Bounds where a larger number accepts less, and where it accepts more. */
const lowerBounds = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems'] as const
const upperBounds = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems'] as const
/** Keywords handled one by one below; all others must not change. */
const handled = new Set([
  'type',
  'properties',
  'required',
  'enum',
  'items',
  'anyOf',
  'oneOf',
  'additionalProperties',
  'description',
  ...lowerBounds,
  ...upperBounds,
])

/**
 * Compares two schemas of one event version.
 * @returns what would break readers, `[]` when both directions hold. Optional fields may come; nothing may go or change.
 */
export function compareSchemas(released: JsonSchema, current: JsonSchema, pointer = ''): Incompatibility[] {
  const found: Incompatibility[] = []
  const backward = (what: string, at = pointer) => found.push({ pointer: at, direction: 'backward', what })
  const forward = (what: string, at = pointer) => found.push({ pointer: at, direction: 'forward', what })
  const both = (what: string) => found.push({ pointer, direction: 'both', what })

  if (branchesOf(released) || branchesOf(current)) return compareBranches(released, current, pointer)
  if (!equal(released.type, current.type)) {
    const [was, is] = [typesOf(released), typesOf(current)]
    const what = `type ${JSON.stringify(released.type)} became ${JSON.stringify(current.type)}`
    const [isLost, isGained] = [was.some((type) => !is.includes(type)), is.some((type) => !was.includes(type))]
    if (isLost && isGained) {
      both(what)
      return found
    }
    if (isLost) backward(what)
    if (isGained) forward(what)
  }
  const before = record(released.properties)
  const after = record(current.properties)
  const requiredBefore = list(released.required)
  const requiredAfter = list(current.required)
  for (const name of Object.keys(before)) {
    if (!after[name]) forward('field was removed', `${pointer}/${name}`)
    else found.push(...compareSchemas(before[name]!, after[name]!, `${pointer}/${name}`))
  }
  for (const name of requiredAfter) {
    if (!requiredBefore.includes(name)) backward('field became required', `${pointer}/${String(name)}`)
  }
  for (const name of requiredBefore) {
    if (!requiredAfter.includes(name) && after[String(name)])
      forward('field became optional', `${pointer}/${String(name)}`)
  }
  for (const value of list(released.enum)) {
    if (!list(current.enum).includes(value)) backward(`value ${JSON.stringify(value)} was removed`)
  }
  for (const value of list(current.enum)) {
    if (!list(released.enum).includes(value)) forward(`value ${JSON.stringify(value)} was added`)
  }
  for (const [keyword, at] of [
    ['items', `${pointer}/items`],
    ['additionalProperties', `${pointer}/*`],
  ] as const) {
    const [was, is] = [released[keyword], current[keyword]]
    if (isSchema(was) && isSchema(is)) found.push(...compareSchemas(was, is, at))
    // Objects that name their fields: readers drop what they do not know.
    else if (isSchema(was) || isSchema(is)) both(`${keyword} ${isSchema(is) ? 'came' : 'went'}`)
  }

  const bound = (schema: JsonSchema, name: string, open: number) =>
    typeof schema[name] === 'number' ? schema[name] : open
  for (const name of lowerBounds) {
    const [was, is] = [bound(released, name, -Infinity), bound(current, name, -Infinity)]
    if (is > was) backward(`${name} rose from ${was} to ${is}`)
    if (is < was) forward(`${name} fell from ${was} to ${is}`)
  }
  for (const name of upperBounds) {
    const [was, is] = [bound(released, name, Infinity), bound(current, name, Infinity)]
    if (is < was) backward(`${name} fell from ${was} to ${is}`)
    if (is > was) forward(`${name} rose from ${was} to ${is}`)
  }
  for (const name of new Set([...Object.keys(released), ...Object.keys(current)])) {
    if (handled.has(name) || equal(released[name], current[name])) continue
    // Every keyword accepts less than its absence does.
    if (released[name] === undefined) backward(`${name} came`)
    else if (current[name] === undefined) forward(`${name} went`)
    else both(`${name} changed`)
  }
  return found
}

/** Alternatives of one schema; a schema without them is its own only one. */
function compareBranches(released: JsonSchema, current: JsonSchema, pointer: string): Incompatibility[] {
  const before = branchesOf(released) ?? [released]
  const after = branchesOf(current) ?? [current]
  // One that was changed in place is told by what changed in it.
  if (before.length === after.length) return before.flatMap((branch, i) => compareSchemas(branch, after[i]!, pointer))
  const accepted = (direction: Direction, was: JsonSchema, is: JsonSchema) =>
    !compareSchemas(was, is).some((one) => breaks(direction, one))
  const found: Incompatibility[] = []
  if (before.some((was) => !after.some((is) => accepted('backward', was, is))))
    found.push({ pointer, direction: 'backward', what: 'an alternative went' })
  if (after.some((is) => !before.some((was) => accepted('forward', was, is))))
    found.push({ pointer, direction: 'forward', what: 'an alternative came' })
  return found
}
