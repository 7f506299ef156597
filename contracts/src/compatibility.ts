import { z } from 'zod'
import { eventDefinitions, type EventType } from './events/registry'

/** JSON Schema as zod writes it; only what our schemas use is looked at, anything else must stay equal. */
export type JsonSchema = { [keyword: string]: unknown }

export interface Incompatibility {
  /** JSON pointer into the event's data. */
  pointer: string
  /** `backward`: today's readers refuse what was written. `forward`: readers of the last release refuse what is written now. */
  direction: 'backward' | 'forward'
  what: string
}

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

  if (!equal(released.type, current.type)) {
    backward(`type ${JSON.stringify(released.type)} became ${JSON.stringify(current.type)}`)
    return found
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
  if (released.items && current.items)
    found.push(...compareSchemas(released.items as JsonSchema, current.items as JsonSchema, `${pointer}/items`))
  const branchesBefore = list(released.anyOf) as JsonSchema[]
  const branchesAfter = list(current.anyOf) as JsonSchema[]
  if (branchesBefore.length !== branchesAfter.length) backward('alternatives changed')
  else branchesBefore.forEach((branch, i) => found.push(...compareSchemas(branch, branchesAfter[i]!, pointer)))

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
    if (!handled.has(name) && !equal(released[name], current[name])) backward(`${name} changed`)
  }
  return found
}
