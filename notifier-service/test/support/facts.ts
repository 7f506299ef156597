import { randomBytes, randomUUID } from 'node:crypto'
import { encodeEvent, streamOf, toCloudEvent, type CloudEventRecord, type NewEvent } from '@annals/contracts'
import { masterKeysOf, sealText, unwrapKey, wrapKey } from '@annals/platform/subject-keys'
import type { NewLogEvent } from '@annals/platform/event-log'
import type { Pool } from '@annals/platform/postgres'

/** The people of a test: each with a data key, as the command service would have made it. */
export interface People {
  /** Seals as the command service does. */
  keyOf(userId: string): Buffer
  save(pool: Pool): Promise<void>
  /** Destroys the keys of them all, as erasing a person does: the rows stay. */
  destroy(pool: Pool): Promise<void>
}

export const masters = masterKeysOf([Buffer.alloc(32, 7)])
export const master = masters.current

export function people(): People {
  const wrapped = new Map<string, Buffer>()
  const nameOf = (userId: string) => `main|${userId}`
  return {
    keyOf(userId) {
      const known = wrapped.get(userId)
      if (known) return unwrapKey(known, master, nameOf(userId))
      const key = randomBytes(32)
      wrapped.set(userId, wrapKey(key, master, nameOf(userId)))
      return key
    },
    async save(pool) {
      const users = [...wrapped.keys()]
      await pool.query(
        `insert into subject_key (tenant, subject, wrapped_key, master_key_id)
         select 'main', subject, wrapped_key, $3 from unnest($1::text[], $2::bytea[]) as x (subject, wrapped_key)
         on conflict do nothing`,
        [users, users.map((user) => wrapped.get(user)!), master.id],
      )
    },
    async destroy(pool) {
      await this.save(pool)
      await pool.query('update subject_key set wrapped_key = null, destroyed_at = now() where subject = any($1)', [
        [...wrapped.keys()],
      ])
    },
  }
}

export interface Fact {
  /** As it lies on the topic. Its position is put in when it is published, which appends it to the log first. */
  record: CloudEventRecord
  /** As the log is to hold it. */
  event: NewLogEvent
  id: string
  stream: string
  revision: number
}

/** Next revision of each stream that facts were made of. */
const revisions = new Map<string, number>()

interface FactOptions {
  stream: string
  /** Default: that after the stream's last fact. */
  revision?: number
  at?: string
  id?: string
  traceparent?: string
  /** Written over the metadata, to make what no release of today writes. */
  metadata?: Record<string, unknown>
  data?: Record<string, unknown>
}

/** An event as it lies on a topic, made by the codec that makes the real ones. */
export function fact(event: NewEvent, crowd: People, options: FactOptions): Fact {
  const {
    stream,
    revision = revisions.get(stream) ?? 0,
    at = new Date().toISOString(),
    id = randomUUID(),
    traceparent,
  } = options
  const input = {
    tenant: 'main',
    commandId: randomUUID(),
    fingerprint: 'f'.repeat(64),
    correlationId: 'test',
    causationId: 'test',
    ...(traceparent ? { traceparent } : {}),
    actor: { type: 'system' as const, id: 'test' },
    occurredAt: at,
    source: 'test',
  }
  const encoded = encodeEvent(event, id, input, ({ subject, context }, personal) =>
    sealText(JSON.stringify(personal), crowd.keyOf(subject), context),
  )
  revisions.set(stream, revision + 1)
  const recorded = {
    ...encoded,
    data: { ...encoded.data, ...options.data },
    metadata: { ...encoded.metadata, ...options.metadata },
  }
  const record = toCloudEvent({ ...recorded, stream, revision, position: 0n })
  return { record, event: recorded, id, stream, revision }
}

type Registered = Extract<NewEvent, { type: 'user.registered' }>['data']

export function registered(crowd: People, data: Partial<Registered> = {}, options: Partial<FactOptions> = {}) {
  const userId = data.userId ?? randomUUID()
  const full: Registered = {
    userId,
    email: `${userId}@people.example`,
    name: 'Ada Lovelace',
    locale: 'en',
    roles: ['user'],
    credentialId: randomUUID(),
    emailProved: false,
    ...data,
  }
  const made = fact({ type: 'user.registered', data: full }, crowd, { stream: streamOf.user(userId), ...options })
  return { ...made, userId, email: full.email }
}

export function processed(crowd: People, userId: string, options: Partial<FactOptions> = {}) {
  const paymentId = randomUUID()
  const data = {
    paymentId,
    userId,
    attempt: 1,
    amount: { minor: 1250, currency: 'EUR' as const },
    gatewayReference: 'ch_1',
  }
  const stream = streamOf.payment(paymentId)
  return { ...fact({ type: 'payment.processed', data }, crowd, { stream, ...options }), paymentId }
}

export function failed(crowd: People, userId: string, options: Partial<FactOptions> = {}) {
  const paymentId = randomUUID()
  const data = {
    paymentId,
    userId,
    attempt: 1,
    amount: { minor: 99, currency: 'USD' as const },
    code: 'card-declined' as const,
  }
  const stream = streamOf.payment(paymentId)
  return { ...fact({ type: 'payment.failed', data }, crowd, { stream, ...options }), paymentId }
}

type Issued = Extract<NewEvent, { type: 'challenge.issued' }>['data']

/** A challenge to an address that nobody may have registered. */
export function challenged(crowd: People, data: Partial<Issued> = {}, options: Partial<FactOptions> = {}) {
  const challengeId = data.challengeId ?? randomUUID()
  const full: Issued = {
    challengeId,
    purpose: 'verify-email',
    userId: null,
    epoch: null,
    about: null,
    channel: 'email',
    locale: 'en',
    to: `${challengeId}@people.example`,
    code: '271828',
    token: `${challengeId}.${'t'.repeat(43)}`,
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    ...data,
  }
  const made = fact({ type: 'challenge.issued', data: full }, crowd, {
    stream: streamOf.challenge(challengeId),
    ...options,
  })
  return { ...made, ...full, challengeId }
}

type UserChange = 'user.email_changed' | 'user.phone_changed' | 'user.profile_changed' | 'user.password_changed'

/** Something about a person that was registered before. */
export const changed = <T extends UserChange>(
  crowd: People,
  type: T,
  data: Extract<NewEvent, { type: T }>['data'],
  options: Partial<FactOptions> = {},
) => fact({ type, data } as unknown as NewEvent, crowd, { stream: streamOf.user(data.userId), ...options })
