import { inTransaction, longQuery, type Pool } from '@annals/platform/postgres'
import { isNullable, typeOf, type ColumnKind } from '../../engine/definition/columns'
import { tablesOf, type Snapshot } from '../../engine/tables/generation'
import { columnsOf, keyWidth, type Projection } from '../../engine/definition/projection'
import { registered } from '../../engine/tables/registry'
import { SnapshotError, snapshotFacts } from './as-of'

export interface Difference {
  /** The key's columns, joined by `|`. */
  key: string
  kind: 'added' | 'removed' | 'changed'
  /** Of a changed row: columns with both values as JSON; personal ones say only that they differ. */
  columns: { column: string; before: unknown; after: unknown }[]
}

export interface Diff {
  added: number
  removed: number
  changed: number
  /** In order of keys; at most as many as were asked for. */
  differences: Difference[]
}

/** What stands for a value that may be personal. */
export const masked = '(masked)'

/**
 * Erased personal data reads `null`, so only a column that may be null, or JSON, can hold some. Rather one column too many
 * is masked than one too few.
 */
const isMasked = ({ readsPersonal }: Projection, kind: ColumnKind) =>
  readsPersonal && (isNullable(kind) || typeOf(kind) === 'jsonb')

interface Found {
  key: string
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
}

/**
 * Rows of a projection that differ between two states of it, both of the same version. A snapshot that holds only some streams
 * is compared with the same keys of the other.
 * @param max differences listed; all are counted.
 * @throws SnapshotError when one is not there, or they can not be compared.
 */
export function diffOf(
  pool: Pool,
  projection: Projection,
  before: Snapshot | 'live',
  after: Snapshot | 'live',
  max: number,
): Promise<Diff> {
  return inTransaction(pool, async (client) => {
    await client.query('set transaction isolation level repeatable read, read only')
    const [a, b] = [await standingOf(client, projection, before), await standingOf(client, projection, after)]
    if (a.version !== b.version)
      throw new SnapshotError(`${projection.name}: version ${a.version} can not be compared with version ${b.version}`)
    if (projection.grain === 'shard' && a.isPartial !== b.isPartial)
      throw new SnapshotError(`${projection.name}: its rows add up many streams, of which one side has only some`)

    const columns = columnsOf(projection)
    const keys = columns.slice(0, keyWidth(projection)).map(([name]) => name)
    const join = a.isPartial === b.isPartial ? 'full' : a.isPartial ? 'left' : 'right'
    const key = keys.map((name) => `coalesce(a.${name}, b.${name})::text`).join(` || '|' || `)
    const differing = `
      select ${key} as key, case when a.${keys[0]} is not null then to_jsonb(a) end as before,
        case when b.${keys[0]} is not null then to_jsonb(b) end as after
      from ${tablesOf(projection, before).rows} a
      ${join} join ${tablesOf(projection, after).rows} b on ${keys.map((name) => `a.${name} = b.${name}`).join(' and ')}
      where a.${keys[0]} is null or b.${keys[0]} is null or to_jsonb(a) <> to_jsonb(b)`
    const { rows: counts } = await longQuery<Record<'added' | 'removed' | 'changed', bigint>>(
      client,
      `select count(*) filter (where before is null) as added, count(*) filter (where after is null) as removed,
         count(*) filter (where before is not null and after is not null) as changed from (${differing}) d`,
    )
    const { rows } = await longQuery<Found>(
      client,
      `select key, before, after from (${differing}) d order by key collate "C" limit $1`,
      [max],
    )
    const { added, removed, changed } = counts[0]!
    return {
      added: Number(added),
      removed: Number(removed),
      changed: Number(changed),
      differences: rows.map((row) => differenceOf(projection, row)),
    }
  })
}

async function standingOf(db: Pick<Pool, 'query'>, projection: Projection, which: Snapshot | 'live') {
  const { name } = projection
  if (which === 'live') {
    const known = await registered(db as Pool, name)
    if (!known) throw new SnapshotError(`${name} has never been installed`)
    return { version: known.version, isPartial: false }
  }
  const facts = await snapshotFacts(db, projection, which)
  if (!facts) throw new SnapshotError(`${name} has no snapshot with the label ${which.replace('asof_', '')}`)
  return { version: facts.version, isPartial: facts.kind === 'scope' }
}

function differenceOf(projection: Projection, { key, before, after }: Found): Difference {
  if (!before) return { key, kind: 'added', columns: [] }
  if (!after) return { key, kind: 'removed', columns: [] }
  const columns = columnsOf(projection)
    .filter(([name]) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map(([column, kind]) =>
      isMasked(projection, kind)
        ? { column, before: masked, after: masked }
        : { column, before: before[column], after: after[column] },
    )
  return { key, kind: 'changed', columns }
}
