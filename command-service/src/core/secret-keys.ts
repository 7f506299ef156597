import { randomBytes, randomUUID } from 'node:crypto'
import type { Pool } from '@annals/platform/postgres'
import { unwrapKey, wrapKey, type MasterKeys } from '@annals/platform/subject-keys'

export interface SecretKey {
  /** UUID: events name it. */
  id: string
  key: Buffer
}

/** The keys of secrets. They are wrapped by master keys of their own, which no other service has. */
export interface SecretKeys {
  /** The newest of a tenant: what is sealed now is sealed with it. The first one is made here. */
  current(tenant: string): Promise<SecretKey>
  /** @returns those that are in the table, by id. */
  of(tenant: string, ids: readonly string[]): Promise<Map<string, Buffer>>
}

/** What wrapping authenticates: a row that was moved to another id or tenant, or to the other table, does not unwrap. */
export const secretKeyOwner = (tenant: string, id: string) => `secret|${tenant}|${id}`

/** A newer key is used after that long. */
const currentMs = 5 * 60_000
/** One key and its id for each; a deployment has a few. What is asked for comes out of the log, so a bound is needed all the same. */
const cachedMax = 1_000

interface Row {
  key_id: string
  wrapped_key: Buffer
  master_key_id: string
}

/** @throws UnknownMasterKey from its methods, when a key is wrapped by one that is not configured. */
export function createSecretKeys(pool: Pool, masters: MasterKeys): SecretKeys {
  /** Keys are never changed: what was read once stays right. */
  const known = new Map<string, Buffer>()
  const newest = new Map<string, SecretKey & { readAt: number }>()

  function remember(tenant: string, { key_id: id, wrapped_key, master_key_id }: Row): SecretKey {
    const owner = secretKeyOwner(tenant, id)
    const key = unwrapKey(wrapped_key, masters.of(master_key_id), owner)
    if (known.size >= cachedMax) known.clear()
    known.set(owner, key)
    return { id, key }
  }

  async function readNewest(tenant: string): Promise<SecretKey | undefined> {
    const { rows } = await pool.query<Row>(
      `select key_id, wrapped_key, master_key_id from secret_key where tenant = $1
       order by created_at desc, key_id limit 1`,
      [tenant],
    )
    return rows[0] && remember(tenant, rows[0])
  }

  /** Two processes may both make a first one: each event names the key that sealed it, so both are right. */
  async function make(tenant: string): Promise<void> {
    const id = randomUUID()
    const wrapped = wrapKey(randomBytes(32), masters.current, secretKeyOwner(tenant, id))
    await pool.query(
      `insert into secret_key (tenant, key_id, wrapped_key, master_key_id)
       select $1, $2, $3, $4 where not exists (select from secret_key where tenant = $1)`,
      [tenant, id, wrapped, masters.current.id],
    )
  }

  return {
    async current(tenant) {
      const cached = newest.get(tenant)
      if (cached && performance.now() - cached.readAt < currentMs) return cached
      let found = await readNewest(tenant)
      if (!found) {
        await make(tenant)
        found = await readNewest(tenant)
      }
      if (!found) throw new Error('the key of secrets that was just made is not in its table')
      newest.set(tenant, { ...found, readAt: performance.now() })
      return found
    },

    async of(tenant, ids) {
      const keys = new Map<string, Buffer>()
      const wanted = new Set<string>()
      for (const id of ids) {
        const key = known.get(secretKeyOwner(tenant, id))
        if (key) keys.set(id, key)
        else wanted.add(id)
      }
      if (wanted.size === 0) return keys
      const { rows } = await pool.query<Row>(
        'select key_id, wrapped_key, master_key_id from secret_key where tenant = $1 and key_id = any ($2::uuid[])',
        [tenant, [...wanted]],
      )
      for (const row of rows) keys.set(row.key_id, remember(tenant, row).key)
      return keys
    },
  }
}
