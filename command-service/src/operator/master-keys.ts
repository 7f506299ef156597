import { longQuery, type Pool } from '@annals/platform/postgres'
import { masterKeysOf, UnknownMasterKey, unwrapKey, wrapKey, type MasterKeys } from '@annals/platform/subject-keys'
import { secretKeyOwner } from '../core/secret-keys'

/** A table of wrapped data keys, and what a row's key is wrapped for. */
export interface WrappedKeys {
  table: 'subject_key' | 'secret_key'
  /** With the tenant the primary key. */
  column: 'subject' | 'key_id'
  /** The setting that holds its master keys. */
  setting: 'MASTER_KEY' | 'SECRETS_MASTER_KEY'
  masters: MasterKeys
  /** What wrapping authenticates. */
  ownerOf: (tenant: string, name: string) => string
}

/** Every kind of data key there is. */
export const wrappedKeysOf = (config: Record<WrappedKeys['setting'], [Buffer, ...Buffer[]]>): WrappedKeys[] => [
  {
    table: 'subject_key',
    column: 'subject',
    setting: 'MASTER_KEY',
    masters: masterKeysOf(config.MASTER_KEY),
    ownerOf: (tenant, name) => `${tenant}|${name}`,
  },
  {
    table: 'secret_key',
    column: 'key_id',
    setting: 'SECRETS_MASTER_KEY',
    masters: masterKeysOf(config.SECRETS_MASTER_KEY),
    ownerOf: secretKeyOwner,
  },
]

interface Row {
  tenant: string
  name: string
  wrapped_key: Buffer | null
  master_key_id: string
}

/** How many data keys a master key wraps. */
export interface Use {
  masterKeyId: string
  dataKeys: number
  /** `current` wraps new data keys, `known` unwraps, `unknown` is not configured here. */
  state: 'current' | 'known' | 'unknown'
}

/** @returns every configured master key, the current one first, then those that rows name and nobody configured. */
export async function usesOf(pool: Pool, { table, masters }: WrappedKeys): Promise<Use[]> {
  const { rows } = await longQuery<{ master_key_id: string; data_keys: bigint }>(
    pool,
    `select master_key_id, count(*) as data_keys from ${table} where wrapped_key is not null group by 1 order by 1`,
    [],
  )
  const counts = new Map(rows.map((row) => [row.master_key_id, Number(row.data_keys)]))
  const ids = [...new Set([...masters.ids, ...counts.keys()])]
  const stateOf = (id: string) =>
    id === masters.current.id ? 'current' : masters.ids.includes(id) ? 'known' : 'unknown'
  return ids.map((id) => ({ masterKeyId: id, dataKeys: counts.get(id) ?? 0, state: stateOf(id) }))
}

export interface Rewrapped {
  /** Wrapped under the current master key now, by this run. */
  rewrapped: number
  /** Data keys that do not unwrap, by the reason; they are left as they are. */
  unknown: { masterKeyId: string; rows: number }[]
  /** Rows whose wrapped key was changed or belongs to another row: `<tenant>|<name>`, a hundred at most. */
  broken: string[]
  brokenRows: number
}

/** Rows of one statement: some 100 KB. Both its locks and what a killed run loses are as short as that. */
const batchRows = 500
const namedMax = 100

/**
 * Wraps every data key under the current master key, while all processes run: data keys stay the same, so what they have in their
 * caches is right. Each batch is one statement, so a run that was killed has done whole batches, and the next one goes on. A row that
 * was changed or destroyed meanwhile is left alone.
 * @param onProgress rows looked at so far.
 */
export async function rewrap(
  pool: Pool,
  { table, column, masters, ownerOf }: WrappedKeys,
  onProgress: (looked: number) => void = () => undefined,
): Promise<Rewrapped> {
  const found = { rewrapped: 0, unknown: new Map<string, number>(), broken: [] as string[], brokenRows: 0 }
  let after: Pick<Row, 'tenant' | 'name'> = { tenant: '', name: '' }
  let looked = 0
  for (;;) {
    const { rows } = await pool.query<Row>(
      `select tenant, ${column}::text as name, wrapped_key, master_key_id from ${table}
       where (tenant, ${column}::text) > ($1, $2) order by tenant, ${column}::text limit ${batchRows}`,
      [after.tenant, after.name],
    )
    const last = rows.at(-1)
    if (!last) break
    const changes: { row: Row; anew: Buffer }[] = []
    for (const row of rows) {
      if (!row.wrapped_key || row.master_key_id === masters.current.id) continue
      const owner = ownerOf(row.tenant, row.name)
      try {
        const dataKey = unwrapKey(row.wrapped_key, masters.of(row.master_key_id), owner)
        changes.push({ row, anew: wrapKey(dataKey, masters.current, owner) })
      } catch (error) {
        if (error instanceof UnknownMasterKey)
          found.unknown.set(error.masterKeyId, (found.unknown.get(error.masterKeyId) ?? 0) + 1)
        else {
          found.brokenRows++
          if (found.broken.length < namedMax) found.broken.push(owner)
        }
      }
    }
    if (changes.length > 0) {
      const { rowCount } = await pool.query(
        `update ${table} as k set wrapped_key = c.anew, master_key_id = $5
         from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) as c (tenant, name, former, anew)
         where k.tenant = c.tenant and k.${column}::text = c.name and k.wrapped_key = c.former`,
        [
          changes.map(({ row }) => row.tenant),
          changes.map(({ row }) => row.name),
          changes.map(({ row }) => row.wrapped_key),
          changes.map(({ anew }) => anew),
          masters.current.id,
        ],
      )
      found.rewrapped += rowCount ?? 0
    }
    after = last
    looked += rows.length
    onProgress(looked)
  }
  const unknown = [...found.unknown].map(([masterKeyId, rows]) => ({ masterKeyId, rows }))
  return { rewrapped: found.rewrapped, unknown, broken: found.broken, brokenRows: found.brokenRows }
}
