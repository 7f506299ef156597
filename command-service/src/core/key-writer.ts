import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { streamOf, type OpenAll, type Opened, type OpenSecrets, type Seal, type SealSecret } from '@annals/contracts'
import { StreamDeleted, type EventLog } from '@annals/platform/event-log'
import { isTransientPostgresError, type Pool } from '@annals/platform/postgres'
import {
  createDataKeys,
  keyReaderOf,
  openSealed,
  sealText,
  secretSealingKey,
  UnknownSubject,
  unwrapKey,
  wrapKey,
  UnknownMasterKey,
  type MasterKeys,
} from '@annals/platform/subject-keys'
import { createSecretKeys } from './secret-keys'
import { Rejected } from './rejected'
import { DependencyUnavailable, PersonalDataLocked } from './faults'

/** What one command seals with. */
export interface Sealers {
  seal: Seal
  sealSecret: SealSecret
}

/** Who a command needs keys of. */
export interface Needs {
  /** Persons about whom something is hidden. */
  subjects: readonly string[]
  /** Whether secrets are among it. */
  secrets: boolean
}

/** The command side's hold on data keys, which it alone makes, and on keys of secrets, which it alone has. */
export interface KeyWriter {
  /**
   * Makes sure that every subject has a data key, then seals with it. A key is made for those only who have no events yet: a
   * second one would make the past of its person unreadable for ever.
   * @throws Rejected `user-not-found` when a subject's key was destroyed: nothing is ever written about an erased person;
   *   PersonalDataLocked when the row of somebody's key was lost.
   */
  sealFor(tenant: string, needs: Needs): Promise<Sealers>
  /** Opens what was sealed; `null` where the key was destroyed. */
  openAll: OpenAll
  /** The same for secrets. */
  openSecrets: OpenSecrets
  /** Asks for one person's key, as `KeyReader` does. */
  lookUp(tenant: string, subject: string): Promise<void>
  /**
   * Makes a key that is destroyed at a time (ISO 8601), for what must not stay readable longer. One that is there stays.
   * Readers that have it at hand may open with it for `cacheMs` more.
   */
  makeKeyUntil(tenant: string, subject: string, expiresAt: string): Promise<void>
  /** Makes now the time at which such a key is destroyed. */
  endKey(tenant: string, subject: string): Promise<void>
  /** Destroys the keys whose time has come, at most `keysMax` of them. @returns how many. */
  destroyExpired(keysMax: number): Promise<number>
}

/** No longer than readers cache keys: so long may something still be sealed for a person who is being erased. */
const cacheMs = 5 * 60_000
/** Keys of 32 bytes with their names: about 5 MB. */
const cachedKeysMax = 20_000

const noSealers: Sealers = {
  seal: () => {
    throw new Error('sealing was asked for without a subject')
  },
  sealSecret: () => {
    throw new Error('a secret was to be sealed without its key')
  },
}

export interface KeyWriterDeps {
  pool: Pool
  masters: MasterKeys
  /** Of secrets: no reader has these. */
  secretMasters: MasterKeys
  log: Pick<EventLog, 'readStream'>
  /** As KeyReaderOptions has it. */
  onMissing?: (subject: string) => void
}

/** @throws DependencyUnavailable from its methods, when the key table or the log does not answer. */
export function createKeyWriter({
  pool,
  masters,
  secretMasters,
  log,
  onMissing = () => undefined,
}: KeyWriterDeps): KeyWriter {
  const cache = new LRUCache<string, Buffer>({ max: cachedKeysMax, ttl: cacheMs })
  const dataKeys = createDataKeys(pool, masters, { cacheMs, onMissing })
  const reader = keyReaderOf(dataKeys)
  const secretKeys = createSecretKeys(pool, secretMasters)

  const available = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      // UnknownSubject, thrown: the table is empty, and an answer for nobody. UnknownMasterKey: a setting is missing.
      const isAway =
        isTransientPostgresError(error) || error instanceof UnknownSubject || error instanceof UnknownMasterKey
      throw isAway ? new DependencyUnavailable('subject-keys', error) : error
    }
  }

  /** Whose first event, which commits a registration, is in the log has had a key. */
  async function assertNoEvents(subject: string): Promise<void> {
    const stream = streamOf.user(subject)
    const events = await log.readStream(stream, 0, 1).catch((error: unknown) => {
      if (error instanceof StreamDeleted) throw error
      throw new DependencyUnavailable('event-log', error)
    })
    if (events.length === 0) return
    onMissing(subject)
    throw new PersonalDataLocked(`${stream} has events and the key table no row of its person: none is made anew`)
  }

  async function insertKey(tenant: string, subject: string, expiresAt: string | null): Promise<void> {
    const wrapped = wrapKey(randomBytes(32), masters.current, `${tenant}|${subject}`)
    await pool.query(
      `insert into subject_key (tenant, subject, wrapped_key, master_key_id, expires_at) values ($1, $2, $3, $4, $5)
       on conflict (tenant, subject) do nothing`,
      [tenant, subject, wrapped, masters.current.id, expiresAt],
    )
  }

  /** Two who make a key at once agree on the one that was stored first. */
  async function storedKey(tenant: string, subject: string): Promise<Buffer | null> {
    const owner = `${tenant}|${subject}`
    const select = () =>
      pool.query<{ wrapped_key: Buffer | null; master_key_id: string }>(
        'select wrapped_key, master_key_id from subject_key where tenant = $1 and subject = $2',
        [tenant, subject],
      )
    let row = (await select()).rows[0]
    if (!row) {
      await assertNoEvents(subject)
      await insertKey(tenant, subject, null)
      row = (await select()).rows[0]
    }
    return row?.wrapped_key ? unwrapKey(row.wrapped_key, masters.of(row.master_key_id), owner) : null
  }

  async function dataKey(tenant: string, subject: string, owner: string): Promise<Buffer> {
    const key = await available(storedKey(tenant, subject))
    if (!key) throw new Rejected('user-not-found')
    cache.set(owner, key)
    return key
  }

  const openSecrets: OpenSecrets = async (parts) => {
    const found = await dataKeys.of(parts)
    const keysOf = new Map<string, Map<string, Buffer>>()
    for (const tenant of new Set(parts.map((part) => part.tenant))) {
      const ids = parts.filter((part) => part.tenant === tenant).map(({ key }) => key)
      keysOf.set(tenant, await secretKeys.of(tenant, ids))
    }
    return parts.map((part, i): Opened => {
      const dataKey = found[i]
      if (!Buffer.isBuffer(dataKey)) return dataKey ?? null
      const secretKey = keysOf.get(part.tenant)?.get(part.key)
      if (secretKey) return openSealed(part, secretSealingKey(secretKey, dataKey))
      onMissing(part.key)
      return new UnknownSubject(
        `the table secret_key has no row ${part.key}: it was lost. Put it back (docs/runbooks/lost-key.md)`,
      )
    })
  }

  return {
    async sealFor(tenant, { subjects, secrets }) {
      if (subjects.length === 0) return noSealers
      const keys = new Map<string, Buffer>()
      for (const subject of subjects) {
        const owner = `${tenant}|${subject}`
        keys.set(subject, cache.get(owner) ?? (await dataKey(tenant, subject, owner)))
      }
      const secretKey = secrets ? await available(secretKeys.current(tenant)) : undefined
      return {
        seal: ({ subject, context }, personal) => sealText(JSON.stringify(personal), keys.get(subject)!, context),
        sealSecret(part, fields) {
          if (!secretKey) return noSealers.sealSecret(part, fields)
          const key = secretSealingKey(secretKey.key, keys.get(part.subject)!)
          return { key: secretKey.id, sealed: sealText(JSON.stringify(fields), key, part.context) }
        },
      }
    },
    openAll: (parts) => available(reader.openAll(parts)),
    openSecrets: (parts) => available(openSecrets(parts)),
    lookUp: (tenant, subject) => available(dataKeys.lookUp(tenant, subject)),
    async makeKeyUntil(tenant, subject, expiresAt) {
      await available(insertKey(tenant, subject, expiresAt))
    },
    async endKey(tenant, subject) {
      await available(
        pool.query(
          `update subject_key set expires_at = now()
           where tenant = $1 and subject = $2 and expires_at > now() and wrapped_key is not null`,
          [tenant, subject],
        ),
      )
    },
    async destroyExpired(keysMax) {
      const { rowCount } = await available(
        pool.query(
          `update subject_key set wrapped_key = null, destroyed_at = now()
           where (tenant, subject) in (
             select tenant, subject from subject_key
             where expires_at is not null and wrapped_key is not null and expires_at <= now()
             order by expires_at limit $1 for update skip locked)`,
          [keysMax],
        ),
      )
      return rowCount ?? 0
    },
  }
}
