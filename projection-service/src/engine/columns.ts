/** What a column of a read model holds, by its PostgreSQL type: the form in which folds see it. */
interface ColumnTypes {
  uuid: string
  text: string
  integer: number
  bigint: bigint
  /** ISO 8601, UTC; kept to the millisecond, which is as fine as every reader of ours can see. */
  timestamptz: string
  /** `YYYY-MM-DD`. */
  date: string
  jsonb: unknown
  'text[]': readonly string[]
}

export type ColumnType = keyof ColumnTypes
/** A type's name; with `?` behind it the column may be null. */
export type ColumnKind = ColumnType | `${ColumnType}?`
export type Columns = Readonly<Record<string, ColumnKind>>

export type RowOf<C extends Columns> = {
  readonly [Name in keyof C]: C[Name] extends `${infer T extends ColumnType}?`
    ? ColumnTypes[T] | null
    : C[Name] extends ColumnType
      ? ColumnTypes[C[Name]]
      : never
}

/** A row whose columns are not known at compile time: what the engine handles. */
export type Row = Readonly<Record<string, unknown>>

export const typeOf = (kind: ColumnKind): ColumnType => kind.replace('?', '') as ColumnType
export const isNullable = (kind: ColumnKind): boolean => kind.endsWith('?')

/** A fold returned something that its table can not hold: the event is parked, the database is never asked. */
export class UnfitRow extends Error {
  override readonly name = 'UnfitRow'
}

const unfit = (what: string): never => {
  throw new UnfitRow(what)
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const dateForm = /^\d{4}-\d\d-\d\d$/
const int4 = { min: -(2 ** 31), max: 2 ** 31 - 1 }
const int8 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }

function text(value: unknown): string {
  if (typeof value !== 'string') return unfit(`${typeof value} is no text`)
  // PostgreSQL's text can not hold it.
  return value.includes('\u0000') ? unfit('text with a NUL character') : value
}

function timestamp(value: unknown): string {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) return unfit(`${JSON.stringify(value)} is no time`)
  return (value as string).length === 24 ? (value as string) : new Date(ms).toISOString()
}

const quoted = (item: unknown) => `"${text(item).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

/** Checks a value and writes it as PostgreSQL reads it, for array parameters and for COPY alike. */
const encoders: Record<ColumnType, (value: unknown) => string> = {
  text,
  uuid: (value) => (typeof value === 'string' && uuidForm.test(value) ? value : unfit(`${String(value)} is no UUID`)),
  integer: (value) =>
    Number.isInteger(value) && (value as number) >= int4.min && (value as number) <= int4.max
      ? String(value)
      : unfit(`${String(value)} is no 32-bit integer`),
  bigint: (value) =>
    typeof value === 'bigint' && value >= int8.min && value <= int8.max
      ? value.toString()
      : unfit(`${String(value)} is no 64-bit integer`),
  timestamptz: timestamp,
  date: (value) => (typeof value === 'string' && dateForm.test(value) ? value : unfit(`${String(value)} is no date`)),
  jsonb: (value) => {
    const json = JSON.stringify(value)
    if (json === undefined) return unfit('a value that JSON does not know')
    // PostgreSQL's jsonb refuses it as its text does.
    return json.includes('\\u0000') ? unfit('JSON with a NUL character') : json
  },
  'text[]': (value) => (Array.isArray(value) ? `{${value.map(quoted).join(',')}}` : unfit('no array')),
}

/** @throws UnfitRow naming the column. `null` and `undefined` are the database's null. */
export function encode(kind: ColumnKind, value: unknown, column: string): string | null {
  if (value === null || value === undefined) {
    return isNullable(kind) ? null : unfit(`column ${column}: must not be null`)
  }
  try {
    return encoders[typeOf(kind)](value)
  } catch (error) {
    if (error instanceof UnfitRow) throw new UnfitRow(`column ${column}: ${error.message}`)
    throw error
  }
}

const copyEscapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** One line of COPY's text format. @see https://www.postgresql.org/docs/current/sql-copy.html */
export const copyLine = (values: readonly (string | null)[]): string =>
  `${values.map((value) => (value === null ? '\\N' : value.replaceAll(/[\\\t\n\r]/g, (c) => copyEscapes[c]!))).join('\t')}\n`
