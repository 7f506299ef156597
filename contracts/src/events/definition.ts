import type { z } from 'zod'

type Shape = z.ZodObject
export type Upcast = (data: Record<string, unknown>) => Record<string, unknown>

export interface EventDefinition<
  Type extends string = string,
  Data extends Shape = Shape,
  Hidden extends string = string,
> {
  readonly type: Type
  /** The version that is written today. */
  readonly version: number
  /** Data of today's version, as the domain sees it: complete and in clear. What any release wrote of this version fits it. */
  readonly data: Data
  /** The same as it is written today: fields may be narrower than they once were, so that what was written stays readable. */
  readonly written: Shape
  /** The field that names the person under whose key the hidden fields are sealed. */
  readonly subject?: string
  /** Fields that never leave the process in clear: sealed in the log and on Kafka, `null` once the key is destroyed. */
  readonly personal: readonly Hidden[]
  /**
   * Fields that only the service which writes them can open: what proves who somebody is (hashes of passwords and keys, seeds). To
   * every other reader they are `null`.
   */
  readonly secrets: readonly Hidden[]
  /** `upcast[n]` turns the opened data of version n into that of version n + 1. */
  readonly upcast: Readonly<Record<number, Upcast>>
}

/**
 * Declares an event type: its name, the version written today, its data, and how older versions read.
 * @throws Error when a version below `version` has no upcast: it could not be read any more.
 */
export function defineEvent<
  Type extends string,
  Data extends Shape,
  Personal extends keyof z.infer<Data> & string = never,
  Secret extends keyof z.infer<Data> & string = never,
>(definition: {
  type: Type
  version: number
  data: Data
  /** Fields that are written in a narrower form than they are read in. */
  written?: { readonly [Field in keyof z.infer<Data>]?: z.ZodType }
  subject?: keyof z.infer<Data> & string
  personal?: readonly Personal[]
  secrets?: readonly Secret[]
  upcast?: Record<number, Upcast>
}): EventDefinition<Type, Data, Personal | Secret> {
  const { type, version, data, written = {}, subject, personal = [], secrets = [], upcast = {} } = definition
  for (let from = 1; from < version; from++) {
    if (!upcast[from]) throw new Error(`${type}: version ${from} has no upcast to ${from + 1}`)
  }
  if (personal.length + secrets.length > 0 && !subject) throw new Error(`${type}: hidden fields need a subject`)
  return { ...definition, written: data.extend(written as z.core.$ZodLooseShape), personal, secrets, upcast }
}

type DataOf<D> = D extends EventDefinition<string, infer Data, string> ? z.infer<Data> : never
type HiddenOf<D> = D extends EventDefinition<string, Shape, infer Hidden> ? Hidden : never

/** An event as a decision returns it: a name and complete data. */
export type NewEventOf<D> =
  D extends EventDefinition<infer Type, Shape, string> ? { type: Type; data: DataOf<D> } : never

/** Data as a reader finds it: hidden fields are `null` after their subject was erased, secrets to most readers always. */
export type OpenedDataOf<D> = Omit<DataOf<D>, HiddenOf<D>> & {
  [K in HiddenOf<D> & keyof DataOf<D>]: DataOf<D>[K] | null
}
