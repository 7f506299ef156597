/** What a column of a read model holds, by its PostgreSQL type: the form in which folds see it. */
interface ColumnTypes {
  uuid: string
  text: string
  integer: number
  bigint: bigint
  /** A whole number without a bound: for sums, which grow with what people enter. */
  numeric: bigint
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

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const isoForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const dateForm = /^\d{4}-(?:0[1-9]|1[0-2])-\d\d$/
const int4 = { min: -(2 ** 31), max: 2 ** 31 - 1 }
const int8 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
/** An escaped NUL, and not an escaped backslash before "u0000". */
const jsonNul = /(?<!\\)(?:\\\\)*\\u0000/
/** A surrogate that stands alone: `JSON.stringify` escapes no other. */
const jsonSurrogate = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g
/** Years of four digits, as ISO 8601 writes them; PostgreSQL knows no year 0. */
const time = { min: Date.parse('0001-01-01T00:00:00.000Z'), max: Date.parse('9999-12-31T23:59:59.999Z') }

// PostgreSQL's text can not hold a NUL character.
const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\u0000')

const isTime = (ms: number): boolean => ms >= time.min && ms <= time.max

/** The 30th of February is refused, which JavaScript takes for a day in March. */
const isDay = (value: string): boolean => {
  const at = Date.parse(value)
  return isTime(at) && new Date(at).getUTCDate() === Number(value.slice(-2))
}

/** Whether PostgreSQL takes a value: asked after every fold, so it makes little garbage. */
const fits: Record<ColumnType, (value: unknown) => boolean> = {
  text: isText,
  uuid: (value) => typeof value === 'string' && uuidForm.test(value),
  integer: (value) => Number.isInteger(value) && (value as number) >= int4.min && (value as number) <= int4.max,
  bigint: (value) => typeof value === 'bigint' && value >= int8.min && value <= int8.max,
  numeric: (value) => typeof value === 'bigint',
  timestamptz: (value) => typeof value === 'string' && isTime(Date.parse(value)),
  date: (value) => typeof value === 'string' && dateForm.test(value) && isDay(value),
  jsonb: (value) => {
    const json = JSON.stringify(value)
    return json !== undefined && !jsonNul.test(json)
  },
  'text[]': (value) => Array.isArray(value) && value.every(isText),
}

const quoted = (item: string) => `"${item.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

/**
 * A value that fits, as PostgreSQL reads it, in array parameters and in COPY alike. Text is made well-formed here, in the one place
 * that rows pass on their way to be stored, compared and counted: a surrogate that stands alone has no form in UTF-8.
 */
const write: Record<ColumnType, (value: never) => string> = {
  text: (value: string) => value.toWellFormed(),
  uuid: (value: string) => value,
  integer: String,
  bigint: String,
  numeric: String,
  timestamptz: (value: string) => (isoForm.test(value) ? value : new Date(value).toISOString()),
  date: (value: string) => value,
  jsonb: (value: unknown) => JSON.stringify(value).replaceAll(jsonSurrogate, '$1\ufffd'),
  'text[]': (value: readonly string[]) => `{${value.map(quoted).join(',')}}`.toWellFormed(),
}

/** What is done with the values of one column. */
export interface ColumnCodec {
  /** @throws UnfitRow naming the column. */
  check(value: unknown): void
  /** Of a value that was checked. `null` and `undefined` are the database's null. */
  write(value: unknown): string | null
  /** Of a value as the driver hands it out: what was written. */
  read(value: unknown): unknown
}

export function columnCodec(name: string, kind: ColumnKind): ColumnCodec {
  const type = typeOf(kind)
  const nullable = isNullable(kind)
  return {
    check(value) {
      if (value === null || value === undefined) {
        if (!nullable) throw new UnfitRow(`column ${name}: must not be null`)
      } else if (!fits[type](value)) {
        // The value may be personal: its kind is told, not the value.
        throw new UnfitRow(`column ${name}: PostgreSQL’s ${type} can not hold this ${typeof value}`)
      }
    },
    write: (value) => (value === null || value === undefined ? null : write[type](value as never)),
    // The driver leaves numeric as text, since other people's have places behind the point.
    read: (value) => (type === 'numeric' && typeof value === 'string' ? BigInt(value) : value),
  }
}

const copyEscapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** One line of COPY's text format. @see https://www.postgresql.org/docs/current/sql-copy.html */
export const copyLine = (values: readonly (string | null)[]): string =>
  `${values.map((value) => (value === null ? '\\N' : value.replaceAll(/[\\\t\n\r]/g, (c) => copyEscapes[c]!))).join('\t')}\n`
