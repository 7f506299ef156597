import { LRUCache } from 'lru-cache'
import type { Pool } from 'pg'
import { openText, unwrapKey } from './cipher'
import type { MasterKeys } from './master-keys'

/** A ciphertext, whose key opens it, and the context under which it was made. */
export interface SealedText {
  tenant: string
  subject: string
  context: string
  sealed: string
}

/**
 * The key table knows nothing of a person whom an event speaks of. Keys are made before the first event and their rows stay
 * after they were destroyed, so the row was lost, or this is another system's table: no reason to call anyone erased.
 */
export class UnknownSubject extends Error {
  override readonly name = 'UnknownSubject'
}

/** A text that was not sealed with this key in this place, or was changed since. */
export class BrokenSeal extends Error {
  override readonly name = 'BrokenSeal'
}

export interface KeyReader {
  /**
   * Opens many sealed JSON objects, in order, with two queries at most.
   * @returns `null` where the key was destroyed: the person is erased; UnknownSubject where the table has keys of others and none
   *   of this person: the row was lost, and putting it back mends it; BrokenSeal where there is a key and the text does not open
   *   with it. No other part suffers by one of these.
   * @throws UnknownSubject when the table has nobody's key; UnknownMasterKey when a key is wrapped by one that is not configured; or
   *   when the table does not answer, or its keys do not open: none of it says anything about a text.
   */
  openAll(parts: readonly SealedText[]): Promise<(Record<string, unknown> | null | UnknownSubject | BrokenSeal)[]>
  /**
   * Asks the table for one person's key, with one query, whether the key is at hand already, was never there or was
   * destroyed: how long it takes says nothing about the person. `openAll` has this key at hand afterwards.
   */
  lookUp(tenant: string, subject: string): Promise<void>
}

export interface KeyReaderOptions {
  /** So long may an erased person stay readable in a running process; default: five minutes. */
  cacheMs?: number
  /** A person's row is missing although the table has rows of others. Told each time that it is asked for. */
  onMissing?: (subject: string) => void
}

/** Whose data key is asked for. */
export interface Owner {
  tenant: string
  subject: string
}

/** Reads data keys, many at once, and keeps them for a while. */
export interface DataKeys {
  /**
   * The data key of each owner, in order; `null`: it was destroyed; UnknownSubject: its row is missing.
   * @throws as `openAll` of KeyReader does.
   */
  of(owners: readonly Owner[]): Promise<(Buffer | null | UnknownSubject)[]>
  /**
   * Asks the table for one person's key, with one query, whether the key is at hand already, was never there or was
   * destroyed: how long it takes says nothing about the person. `of` has this key at hand afterwards.
   */
  lookUp(tenant: string, subject: string): Promise<void>
}

interface KeyRow {
  tenant: string
  subject: string
  wrapped_key: Buffer | null
  master_key_id: string
}

/** As `createKeyReader`, for keys that seal more than the personal data of events. */
export function createDataKeys(pool: Pool, masters: MasterKeys, options: KeyReaderOptions = {}): DataKeys {
  const { cacheMs = 5 * 60_000, onMissing } = options
  // 50,000 keys of 32 bytes with their names: about 10 MB.
  const cache = new LRUCache<string, Buffer>({ max: 50_000, ttl: cacheMs })
  const nameOf = (tenant: string, subject: string) => `${tenant}|${subject}`

  /**
   * Keys of all these owners, taken hold of once: what expires from the cache, or is pushed out of it, while the rest is being
   * read must not look like a key that was destroyed. Whose row is missing is not in the map.
   */
  async function keysOf(parts: readonly Owner[]): Promise<Map<string, Buffer | null>> {
    const keys = new Map<string, Buffer | null>()
    const wanted = new Map<string, Owner>()
    for (const part of parts) {
      const name = nameOf(part.tenant, part.subject)
      const key = cache.get(name)
      if (key) keys.set(name, key)
      else wanted.set(name, part)
    }
    if (wanted.size === 0) return keys
    const asked = [...wanted.values()]
    const { rows } = await pool.query<KeyRow>(
      `select tenant, subject, wrapped_key, master_key_id from subject_key
       where (tenant, subject) in (select * from unnest($1::text[], $2::text[]))`,
      [asked.map((part) => part.tenant), asked.map((part) => part.subject)],
    )
    for (const row of rows) {
      const name = nameOf(row.tenant, row.subject)
      const key = row.wrapped_key && unwrapKey(row.wrapped_key, masters.of(row.master_key_id), name)
      if (key) cache.set(name, key)
      keys.set(name, key)
    }
    const missing = asked.filter(({ tenant, subject }) => !keys.has(nameOf(tenant, subject)))
    if (missing.length > 0 && rows.length === 0) await assertKeysOfOthers(missing)
    for (const { subject } of missing) onMissing?.(subject)
    return keys
  }

  /** That somebody's row is missing means something only in a table that has keys of others, which open. */
  async function assertKeysOfOthers(missing: readonly Owner[]): Promise<void> {
    const { rows } = await pool.query<KeyRow>(
      `select tenant, subject, wrapped_key, master_key_id from subject_key
       where tenant = any ($1) and wrapped_key is not null and master_key_id = any ($2) limit 1`,
      [[...new Set(missing.map(({ tenant }) => tenant))], masters.ids],
    )
    const [other] = rows
    if (!other)
      throw new UnknownSubject(
        'this key table holds nobody’s key: it is empty, another system’s, or its master keys are not configured',
      )
    unwrapKey(other.wrapped_key!, masters.of(other.master_key_id), nameOf(other.tenant, other.subject))
  }

  return {
    async lookUp(tenant, subject) {
      const name = nameOf(tenant, subject)
      const { rows } = await pool.query<KeyRow>(
        'select tenant, subject, wrapped_key, master_key_id from subject_key where tenant = $1 and subject = $2',
        [tenant, subject],
      )
      const [row] = rows
      if (row?.wrapped_key) cache.set(name, unwrapKey(row.wrapped_key, masters.of(row.master_key_id), name))
      else cache.delete(name)
    },

    async of(owners) {
      const keys = await keysOf(owners)
      return owners.map(({ tenant, subject }) => {
        const key = keys.get(nameOf(tenant, subject))
        if (key !== undefined) return key
        return new UnknownSubject(
          `the key table has no row of ${subject}: it was lost. Put it back (docs/runbooks/lost-key.md), then ` +
            '`npm run replay -- parked retry <read model>`',
        )
      })
    },
  }
}

/**
 * Reads wrapped data keys from the table `subject_key` with a role that may select and nothing else. It has to be the table
 * itself, never a copy that lags behind: a key is there before the first event that it seals.
 */
export const createKeyReader = (pool: Pool, masters: MasterKeys, options: KeyReaderOptions = {}): KeyReader =>
  keyReaderOf(createDataKeys(pool, masters, options))

export function keyReaderOf(dataKeys: DataKeys): KeyReader {
  return {
    lookUp: (tenant, subject) => dataKeys.lookUp(tenant, subject),
    async openAll(parts) {
      const keys = await dataKeys.of(parts)
      return parts.map((part, i) => {
        const key = keys[i] as Buffer | null | UnknownSubject
        return Buffer.isBuffer(key) ? openSealed(part, key) : key
      })
    },
  }
}

/** @returns the JSON object that was sealed, or why it does not open. */
export function openSealed({ sealed, context }: Pick<SealedText, 'sealed' | 'context'>, key: Buffer) {
  try {
    return JSON.parse(openText(sealed, key, context)) as Record<string, unknown>
  } catch {
    // Without the cause: a text that opens and is no JSON would be quoted in it.
    return new BrokenSeal('the seal does not open with its key: it was changed, or made for another place')
  }
}
