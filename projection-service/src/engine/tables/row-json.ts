import { isoTime } from '@annals/platform/postgres'
import { isNullable, typeOf, type ColumnKind, type ColumnType } from '../definition/columns'
import { columnsOf, keyWidth, type Projection, type StoredRow } from '../definition/projection'

/** Types that JSON would not carry whole, or not in the form that folds see: they travel as PostgreSQL's text. */
const fromText: Partial<Record<ColumnType, (text: string) => unknown>> = {
  bigint: BigInt,
  numeric: BigInt,
  timestamptz: isoTime,
}

/** @returns SQL of a JSON array with a row's values, in the order of `columnsOf`: rows of any tables fit into one column. */
export const rowJsonSql = (projection: Projection, alias: string): string => {
  const values = columnsOf(projection).map(([name, kind]) =>
    fromText[typeOf(kind)] ? `${alias}.${name}::text` : `${alias}.${name}`,
  )
  return `json_build_array(${values.join(', ')})`
}

const readOf = (kind: ColumnKind) => {
  const read = fromText[typeOf(kind)]
  if (!read) return (value: unknown) => value
  return isNullable(kind)
    ? (value: unknown) => (value === null ? null : read(value as string))
    : (value: unknown) => read(value as string)
}

/** @returns what reads the values of `rowJsonSql` as the row that was stored. */
export function rowJsonReader(projection: Projection): (values: readonly unknown[]) => StoredRow {
  const width = keyWidth(projection)
  const columns = columnsOf(projection)
    .slice(width)
    .map(([name, kind], i) => ({ name, at: width + i, read: readOf(kind) }))
  return (values) => ({
    key: values[0] as string,
    shard: width === 2 ? (values[1] as number) : 0,
    row: Object.fromEntries(columns.map(({ name, at, read }) => [name, read(values[at])])),
  })
}
