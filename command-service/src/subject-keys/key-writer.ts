import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { OpenAll, Seal } from '@annals/contracts'
import { isTransientPostgresError, type Pool } from '@annals/platform/postgres'
import { createKeyReader, sealText, unwrapKey, wrapKey, type MasterKey } from '@annals/platform/subject-keys'
import { Rejected } from '../domain/rejected'
import { DependencyUnavailable } from '../execution/faults'

/** The command side's hold on data keys: it alone makes them. */
export interface KeyWriter {
  /**
   * Makes sure that every subject has a data key, then seals with it.
   * @throws Rejected `user-not-found` when a subject's key was destroyed: nothing is ever written about an erased person.
   */
  sealFor(tenant: string, subjects: readonly string[]): Promise<Seal>
  /** Opens what was sealed; `null` where the key was destroyed. */
  openAll: OpenAll
}

/** No longer than readers cache keys: so long may something still be sealed for a person who is being erased. */
const cacheMs = 5 * 60_000
/** Keys of 32 bytes with their names: about 5 MB. */
const cachedKeysMax = 20_000

const noSeal: Seal = () => {
  throw new Error('sealing was asked for without a subject')
}

/** @throws DependencyUnavailable from its methods, when the key table does not answer. */
export function createKeyWriter(pool: Pool, master: MasterKey): KeyWriter {
  const cache = new LRUCache<string, Buffer>({ max: cachedKeysMax, ttl: cacheMs })
  const reader = createKeyReader(pool, master, cacheMs)

  const available = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      throw isTransientPostgresError(error) ? new DependencyUnavailable('subject-keys', error) : error
    }
  }

  /** Two who make a key at once agree on the one that was stored first. */
  async function storedKey(tenant: string, subject: string): Promise<Buffer | null> {
    const owner = `${tenant}|${subject}`
    const select = () =>
      pool.query<{ wrapped_key: Buffer | null }>(
        'select wrapped_key from subject_key where tenant = $1 and subject = $2',
        [tenant, subject],
      )
    let row = (await select()).rows[0]
    if (!row) {
      await pool.query(
        `insert into subject_key (tenant, subject, wrapped_key, master_key_id) values ($1, $2, $3, $4)
         on conflict (tenant, subject) do nothing`,
        [tenant, subject, wrapKey(randomBytes(32), master, owner), master.id],
      )
      row = (await select()).rows[0]
    }
    return row?.wrapped_key ? unwrapKey(row.wrapped_key, master, owner) : null
  }

  async function dataKey(tenant: string, subject: string): Promise<Buffer> {
    const owner = `${tenant}|${subject}`
    const cached = cache.get(owner)
    if (cached) return cached
    const key = await available(storedKey(tenant, subject))
    if (!key) throw new Rejected('user-not-found')
    cache.set(owner, key)
    return key
  }

  return {
    async sealFor(tenant, subjects) {
      if (subjects.length === 0) return noSeal
      const keys = new Map<string, Buffer>()
      for (const subject of subjects) keys.set(subject, await dataKey(tenant, subject))
      return ({ subject, context }, personal) => sealText(JSON.stringify(personal), keys.get(subject)!, context)
    },
    openAll: (parts) => available(reader.openAll(parts)),
  }
}
