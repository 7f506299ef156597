import { describe, expect, it } from '@jest/globals'
import {
  decodeAll,
  decodeEvent,
  encodeEvent,
  sealedPartOf,
  secretPartOf,
  UnfitEvent,
  type EnvelopeInput,
  type NewEvent,
  type RecordedEvent,
  type SealedPart,
  type SealSecret,
  type SecretPart,
} from '@annals/contracts'

const userId = '3f1c9f0e-6a55-5b1e-9d6a-0c7b6a3f2e11'
const credentialId = 'd00dfeed-3333-5444-8555-966677778888'
const envelope: EnvelopeInput = {
  tenant: 'main',
  commandId: 'c1',
  correlationId: 'r1',
  causationId: 'c1',
  actor: { type: 'user', id: userId },
  occurredAt: '2026-11-01T12:00:00.000Z',
  source: 'test',
}
const registered: NewEvent = {
  type: 'user.registered',
  data: {
    userId,
    email: 'ada@example.org',
    name: 'Ada',
    locale: 'en',
    roles: ['user'],
    credentialId,
    emailProved: false,
  },
}
/** Reversible stand-in for the cipher: what is tested here is where the codec puts what. */
const seal = (part: Omit<SealedPart, 'sealed'>, personal: Record<string, unknown>) =>
  JSON.stringify({ context: part.context, personal })
const openAll = async (parts: readonly SealedPart[]) => parts.map((part) => JSON.parse(part.sealed).personal)

const record = (event: NewEvent, over: Partial<RecordedEvent> = {}): RecordedEvent => {
  const { data, metadata, ...rest } = encodeEvent(event, 'id-1', envelope, seal)
  return { ...rest, data, metadata, stream: `user-${userId}`, revision: 0, position: 7n, ...over }
}

describe('a secret', () => {
  const set: NewEvent = { type: 'credential.set', data: { userId, credentialId, passwordHash: '$2b$12$hash' } }
  const key = '0b9c1d2e-3f4a-4b5c-8d6e-7f8091a2b3c4'
  const sealSecret: SealSecret = ({ context }, secrets) => ({ key, sealed: JSON.stringify({ context, secrets }) })
  const openSecrets = async (parts: readonly SecretPart[]) => parts.map((part) => JSON.parse(part.sealed).secrets)
  const neverSeals = () => {
    throw new Error('nothing personal is in it')
  }
  const recorded: RecordedEvent = {
    ...encodeEvent(set, 'id-1', envelope, neverSeals, sealSecret),
    stream: `credential-${credentialId}`,
    revision: 0,
    position: 7n,
  }

  it('is sealed apart from personal data, under the key that is named', () => {
    expect(recorded.data).toEqual({ userId, credentialId, secret: { key, sealed: expect.any(String) } })
    expect(recorded.metadata).toMatchObject({ subject: userId })
    expect(sealedPartOf(recorded)).toBeUndefined()
    expect(secretPartOf(recorded)).toMatchObject({
      key,
      subject: userId,
      context: `main|${userId}|credential.set|id-1`,
    })
  })

  it('is there for who opens it, and null for everybody else', async () => {
    const [opened] = await decodeAll([recorded], openAll, openSecrets)
    expect(opened).toMatchObject({ kind: 'event', event: { data: set.data } })
    for (const result of [
      ...(await decodeAll([recorded], openAll)),
      decodeEvent(recorded),
      decodeEvent(recorded, null),
    ])
      expect(result).toMatchObject({ kind: 'event', event: { data: { credentialId, passwordHash: null } } })
    const [erased] = await decodeAll([recorded], openAll, async () => [null])
    expect(erased).toMatchObject({ kind: 'event', event: { data: { passwordHash: null } } })
    const [locked] = await decodeAll([recorded], openAll, async () => [new Error('lost')])
    expect(locked).toMatchObject({ kind: 'invalid', reason: 'secrets: lost' })
  })

  it('can not be written by who has no key for it', () =>
    expect(() => encodeEvent(set, 'id-1', envelope, seal)).toThrow('no key for secrets'))

  it('of the version that was sealed as personal data is read as before', async () => {
    const { data, metadata, ...rest } = recorded
    const { secret: _, ...open } = data as Record<string, unknown>
    const old = {
      ...rest,
      data: { ...open, sealed: JSON.stringify({ personal: { passwordHash: 'old' } }) },
      metadata: { ...(metadata as object), schemaVersion: 1 },
    }
    const [result, other] = await decodeAll([old, recorded], openAll, openSecrets)
    expect(result).toMatchObject({ kind: 'event', event: { data: { passwordHash: 'old' } } })
    expect(other).toMatchObject({ kind: 'event', event: { data: set.data } })
    expect(decodeEvent(old, null)).toMatchObject({ kind: 'event', event: { data: { passwordHash: null } } })
  })

  it.each([
    ['no key', { sealed: 'AQ' }],
    ['a key that is no id', { key: "'; drop table secret_key", sealed: 'AQ' }],
    ['a key of another kind', { key: 7, sealed: 'AQ' }],
    ['no text', { key, sealed: null }],
    ['nothing', null],
    ['a text', 'AQ'],
  ])('with %s is no secret: its event is invalid', async (_, secret) => {
    const hostile = { ...recorded, data: { userId, credentialId, secret } }
    const [result] = await decodeAll([hostile], openAll, openSecrets)
    expect(result!.kind).toBe('invalid')
  })
})

describe('a seal that does not open', () => {
  const broken = new Error('changed')

  it('makes its event invalid, and no other', async () => {
    const results = await decodeAll([record(registered), record(registered)], async (parts) => [
      broken,
      JSON.parse(parts[1]!.sealed).personal,
    ])
    expect(results).toEqual([
      { kind: 'invalid', type: 'user.registered', reason: 'personal data: changed', cause: new Error('changed') },
      expect.objectContaining({ kind: 'event' }),
    ])
  })

  it('is looked at after the version: a newer release may read it', () => {
    const { metadata, ...rest } = record(registered)
    const newer = { ...rest, metadata: { ...(metadata as object), schemaVersion: 99 } }
    expect(decodeEvent(newer, broken)).toMatchObject({ kind: 'newer-version', version: 99 })
  })
})

describe('encodeEvent', () => {
  it('leaves no personal field in clear', () => {
    const { data } = record(registered)
    expect(Object.keys(data as object).toSorted()).toEqual([
      'credentialId',
      'emailProved',
      'locale',
      'roles',
      'sealed',
      'userId',
    ])
  })

  it('binds the seal to tenant, person, type and event', () => {
    expect(sealedPartOf(record(registered))!.context).toBe(`main|${userId}|user.registered|id-1`)
  })

  it('needs no key when there is nothing personal to hide', () => {
    const created: NewEvent = {
      type: 'payment.created',
      data: {
        paymentId: userId,
        userId,
        amount: { minor: 1, currency: 'EUR' },
        method: { type: 'card', token: 'tok_visa' },
        description: null,
      },
    }
    const neverCalled = () => {
      throw new Error('sealed nothing')
    }
    expect(encodeEvent(created, 'id-1', envelope, neverCalled).metadata.subject).toBeUndefined()
  })

  it('refuses data that does not fit before it becomes a fact', () => {
    const wrong = { ...registered, data: { ...registered.data, roles: [] } } as NewEvent
    expect(() => encodeEvent(wrong, 'id-1', envelope, seal)).toThrow(/roles/)
  })
})

describe('what was written before texts were checked', () => {
  const created = (description: string): RecordedEvent =>
    record(
      {
        type: 'payment.created',
        data: {
          paymentId: userId,
          userId,
          amount: { minor: 1, currency: 'EUR' },
          method: { type: 'card', token: 'tok_visa' },
          description: null,
        },
      },
      {
        data: {
          paymentId: userId,
          userId,
          amount: { minor: 1, currency: 'EUR' },
          method: { type: 'card', token: 'tok_visa' },
          description,
        },
      },
    )

  it.each([
    ['a NUL', 'a\u0000b', 'a\ufffdb'],
    ['half of a surrogate pair', 'a\ud83d', 'a\ufffd'],
    ['other control characters', 'a\u0007\u202eb', 'a\u0007\u202eb'],
    ['another form than C', 'e\u0301', 'e\u0301'],
    ['nothing visible', '\u200b', '\u200b'],
  ])('is readable with %s', (_, written, read) =>
    expect(decodeEvent(created(written))).toMatchObject({ kind: 'event', event: { data: { description: read } } }),
  )

  it('is readable in what was sealed and in the metadata', () => {
    const { metadata, ...rest } = record(registered)
    const hostile = { ...rest, metadata: { ...(metadata as object), correlationId: 'r\ud800' } }
    const result = decodeEvent(hostile, { email: 'ada@example.org', name: 'Ada\u0000' })
    expect(result).toMatchObject({ event: { data: { name: 'Ada\ufffd' }, envelope: { correlationId: 'r\ufffd' } } })
  })

  it('is a registration of the first version, whose address is read as it was', () => {
    const { metadata, ...rest } = record(registered)
    const first = { ...rest, metadata: { ...(metadata as object), schemaVersion: 1 } }
    expect(decodeEvent(first, { email: 'a@example-.org', name: 'Ada' })).toMatchObject({
      event: { data: { email: 'a@example-.org' } },
    })
  })
})

describe('the door of the log', () => {
  it.each([
    ['a name with a NUL', { name: 'A\u0000' }, /name/],
    ['a name with half of a surrogate pair', { name: 'A\ud800' }, /name/],
    ['a name in another form than C', { name: 'e\u0301' }, /name/],
    ['a name that nobody sees', { name: '\u200b' }, /name/],
    ['an address that is not canonical', { email: 'Ada@example.org' }, /email/],
    ['a missing field', { locale: undefined }, /locale/],
  ])('refuses %s', (_, over, where) => {
    const wrong = { ...registered, data: { ...registered.data, ...over } } as NewEvent
    expect(() => encodeEvent(wrong, 'id-1', envelope, seal)).toThrow(UnfitEvent)
    expect(() => encodeEvent(wrong, 'id-1', envelope, seal)).toThrow(where)
  })

  it('refuses a string that can not be stored in a field without a form of its own, and does not repeat it', () => {
    const started: NewEvent = {
      type: 'payment.process_started',
      data: { paymentId: userId, userId, attempt: 1, gatewayKey: 'secret\u0000' },
    }
    expect(() => encodeEvent(started, 'id-1', envelope, seal)).toThrow(/data\/gatewayKey: holds characters/)
    expect(() => encodeEvent(started, 'id-1', envelope, seal)).not.toThrow(/secret/)
  })

  it.each([
    ['a correlation id that can not be stored', { correlationId: 'r\u0000' }],
    ['a time of the year 0', { occurredAt: '0000-01-01T00:00:00.000Z' }],
    ['a time that is none', { occurredAt: '2026-02-30T00:00:00.000Z' }],
    ['an actor without a name', { actor: { type: 'user' as const, id: '' } }],
  ])('refuses metadata with %s', (_, over) =>
    expect(() => encodeEvent(registered, 'id-1', { ...envelope, ...over }, seal)).toThrow(/metadata/),
  )
})

describe('decodeAll', () => {
  it('gives back what was encoded, opened, with its place in the log', async () => {
    const [result] = await decodeAll([record(registered)], openAll)
    expect(result).toMatchObject({
      kind: 'event',
      event: { ...registered, id: 'id-1', revision: 0, position: 7n, at: envelope.occurredAt },
    })
  })

  it('keeps sealed and open events apart when both are in a batch', async () => {
    const granted: NewEvent = { type: 'user.role_granted', data: { userId, role: 'admin' } }
    const results = await decodeAll([record(granted), record(registered), record(granted)], openAll)
    expect(results.map((r) => r.kind === 'event' && r.event.type)).toEqual([
      'user.role_granted',
      'user.registered',
      'user.role_granted',
    ])
    expect(results[1]).toMatchObject({ event: { data: { name: 'Ada' } } })
  })

  it('passes on the failure of the key store', async () => {
    const down = async () => {
      throw new Error('keys are away')
    }
    await expect(decodeAll([record(registered)], down)).rejects.toThrow('keys are away')
  })
})

describe('decodeEvent', () => {
  it('tells a type that it does not know', () =>
    expect(decodeEvent({ ...record(registered), type: 'user.teleported' })).toEqual({
      kind: 'unknown-type',
      type: 'user.teleported',
    }))

  it('does not take a property of every object for a type', () =>
    expect(decodeEvent({ ...record(registered), type: 'constructor' }).kind).toBe('unknown-type'))

  it('waits for a version that is newer than itself', () => {
    const recorded = record(registered)
    const metadata = { ...(recorded.metadata as object), schemaVersion: 9 }
    expect(decodeEvent({ ...recorded, metadata })).toMatchObject({ kind: 'newer-version', version: 9 })
  })

  it.each([
    ['data that is missing a field', { data: { userId } }],
    ['data that is no object', { data: 'text' }],
    ['data that is null', { data: null }],
    ['metadata that is missing', { metadata: undefined }],
    ['metadata without a tenant', { metadata: { ...envelope, tenant: '', schemaVersion: 1 } }],
  ])('calls %s invalid and does not throw', (_, over) =>
    expect(decodeEvent({ ...record(registered), ...over }).kind).toBe('invalid'),
  )
})
