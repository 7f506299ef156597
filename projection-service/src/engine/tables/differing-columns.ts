import { columnsOf, encodeRow, type Projection, type StoredRow } from '../definition/projection'

/** Names of the columns in which two forms of a row differ. */
export function differingColumns(projection: Projection, a: StoredRow, b: StoredRow): string[] {
  const [expected, found] = [encodeRow(projection, a), encodeRow(projection, b)]
  return columnsOf(projection)
    .filter(([, kind], i) => {
      const [one, other] = [expected[i]!, found[i]!]
      if (one === other) return false
      if (!kind.startsWith('jsonb') || one === null || other === null) return true
      return canonicalJson(one) !== canonicalJson(other)
    })
    .map(([name]) => name)
}

/** JSON comes back from PostgreSQL with its keys in another order. */
const canonicalJson = (text: string): string =>
  JSON.stringify(JSON.parse(text), (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
