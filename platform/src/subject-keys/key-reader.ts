import { LRUCache } from 'lru-cache'
import type { Pool } from 'pg'
import { openText, unwrapKey, type MasterKey } from './cipher'

/** A ciphertext, whose key opens it, and the context under which it was made. */
export interface SealedText {
  tenant: string
  subject: string
  context: string
  sealed: string
}

/**
 * The key table knows nothing of a person whom an event speaks of. Keys are made before the first event and their rows stay
 * after they were destroyed, so this is another system's table, or one restored from before: no reason to call anyone erased.
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
   * Opens many sealed JSON objects, in order, with at most one query.
   * @returns `null` where the key was destroyed: the person is erased; BrokenSeal where there is a key and the text does not open
   *   with it: no other part suffers by that, and asking again would not help.
   * @throws UnknownSubject; or when the key table does not answer, or its keys do not open with this master key: that says
   *   nothing about a text.
   */
  openAll(parts: readonly SealedText[]): Promise<(Record<string, unknown> | null | BrokenSeal)[]>
}

/**
 * Reads wrapped data keys from the table `subject_key` with a role that may select and nothing else.
 * Keys are cached for five minutes at most: so long may an erased person stay readable in a running process.
 */
export function createKeyReader(pool: Pool, master: MasterKey, cacheMs = 5 * 60_000): KeyReader {
  // 50,000 keys of 32 bytes with their names: about 10 MB.
  const cache = new LRUCache<string, Buffer>({ max: 50_000, ttl: cacheMs })
  const nameOf = (tenant: string, subject: string) => `${tenant}|${subject}`

  /**
   * Keys of all these parts, taken hold of once: what expires from the cache, or is pushed out of it, while the rest is being
   * read must not look like a key that was destroyed.
   */
  async function keysOf(parts: readonly SealedText[]): Promise<Map<string, Buffer | null>> {
    const keys = new Map<string, Buffer | null>()
    const missing = new Map<string, SealedText>()
    for (const part of parts) {
      const name = nameOf(part.tenant, part.subject)
      const key = cache.get(name)
      if (key) keys.set(name, key)
      else missing.set(name, part)
    }
    if (missing.size === 0) return keys
    const wanted = [...missing.values()]
    const { rows } = await pool.query<{ tenant: string; subject: string; wrapped_key: Buffer | null }>(
      `select tenant, subject, wrapped_key from subject_key
       where (tenant, subject) in (select * from unnest($1::text[], $2::text[]))`,
      [wanted.map((part) => part.tenant), wanted.map((part) => part.subject)],
    )
    for (const row of rows) {
      const name = nameOf(row.tenant, row.subject)
      const key = row.wrapped_key && unwrapKey(row.wrapped_key, master, name)
      if (key) cache.set(name, key)
      keys.set(name, key)
    }
    for (const [name, { subject }] of missing) {
      if (!keys.has(name)) throw new UnknownSubject(`there never was a data key of ${subject} in this key table`)
    }
    return keys
  }

  return {
    async openAll(parts) {
      const keys = await keysOf(parts)
      return parts.map(({ tenant, subject, context, sealed }) => {
        const key = keys.get(nameOf(tenant, subject))
        if (!key) return null
        try {
          return JSON.parse(openText(sealed, key, context)) as Record<string, unknown>
        } catch {
          // Without the cause: a text that opens and is no JSON would be quoted in it.
          return new BrokenSeal('the seal does not open with its key: it was changed, or made for another place')
        }
      })
    },
  }
}
