import { z } from 'zod'
import { Envelope, WrittenEnvelope, type EnvelopeInput } from './envelope'
import type { EventDefinition } from './definition'
import { eventDefinitions, type AnnalsEvent, type EventType, type NewEvent } from './registry'
import { readable, unstorable } from '../text'

/** An event as the log and Kafka hold it: nothing about its data or metadata has been believed yet. */
export interface RecordedEvent {
  id: string
  type: string
  stream: string
  revision: number
  position: bigint
  data: unknown
  metadata: unknown
}

/** The ciphertext of an event's personal fields, and what is needed to open it. */
export interface SealedPart {
  tenant: string
  subject: string
  /** Additional authenticated data: the ciphertext opens only where it was written. */
  context: string
  sealed: string
}

/**
 * The ciphertext of an event's secret fields. Two keys are needed to open it: the data key of the person, so that erasing the person
 * erases their secrets, and the secret key that is named, which one service alone has.
 */
export interface SecretPart extends SealedPart {
  /** UUID of the secret key. */
  key: string
}

/** Encrypts the JSON of the personal fields under the subject's data key; given in, since this package has no IO. */
export type Seal = (part: Omit<SealedPart, 'sealed'>, personal: Record<string, unknown>) => string

/** Encrypts the JSON of the secret fields. @returns the ciphertext, and the id of the secret key. */
export type SealSecret = (
  part: Omit<SecretPart, 'sealed' | 'key'>,
  secrets: Record<string, unknown>,
) => Pick<SecretPart, 'sealed' | 'key'>

/**
 * The personal fields of an event; `null`: the key was destroyed, the person is erased; an error: they do not open, and will not as
 * long as nobody mends it.
 */
export type Opened = Record<string, unknown> | null | Error

/** Decrypts many sealed parts, in order. Throws only what may be otherwise later: no key table, another master key. */
export type OpenAll = (parts: readonly SealedPart[]) => Promise<Opened[]>
/** The same for secret parts; who has none of the keys does without it. */
export type OpenSecrets = (parts: readonly SecretPart[]) => Promise<Opened[]>

export type DecodeResult<T extends EventType = EventType> =
  | { kind: 'event'; event: AnnalsEvent<T> }
  /** Not in the registry: skip it and count it. */
  | { kind: 'unknown-type'; type: string }
  /** Written by a newer release: wait for that release here. */
  | { kind: 'newer-version'; type: string; version: number }
  /** A known version whose content is wrong: park it. `cause`: the error with which personal data did not open. */
  | { kind: 'invalid'; type: string; reason: string; cause?: Error }

const definitionOf = (type: string): EventDefinition | undefined =>
  Object.hasOwn(eventDefinitions, type)
    ? (eventDefinitions[type as EventType] as unknown as EventDefinition)
    : undefined

const contextOf = (tenant: string, subject: string, type: string, eventId: string) =>
  `${tenant}|${subject}|${type}|${eventId}`

const hiddenOf = ({ personal, secrets }: EventDefinition) => [...personal, ...secrets]
const allNull = (fields: Record<string, unknown>) => Object.values(fields).every((value) => value === null)

/** An event that may not be written: a fault of ours, found before it becomes a fact. Says where, never what stands there. */
export class UnfitEvent extends Error {
  override readonly name = 'UnfitEvent'
}

/** @throws UnfitEvent */
function assertFits(type: string, part: 'data' | 'metadata', schema: z.ZodType, value: unknown): void {
  const { error } = schema.safeParse(value)
  if (error) throw new UnfitEvent(`${type}: ${part}: ${z.prettifyError(error)}`)
  const pointer = unstorable(value)
  if (pointer) throw new UnfitEvent(`${type}: ${part}${pointer}: holds characters that can not be stored everywhere`)
}

const noSecrets: SealSecret = () => {
  throw new Error('this writer has no key for secrets')
}

/**
 * Turns a decided event into what is written to the log: validated, versioned, hidden fields sealed. What it lets through, every
 * read model can hold: this is the door that all writers share.
 * @param id of the event; it is part of what the seal authenticates.
 * @throws UnfitEvent when data or metadata are not what may be written today.
 */
export function encodeEvent(
  event: NewEvent,
  id: string,
  input: EnvelopeInput,
  seal: Seal,
  sealSecret: SealSecret = noSecrets,
) {
  const definition = definitionOf(event.type)!
  assertFits(event.type, 'data', definition.written, event.data)
  const data = definition.data.parse(event.data) as Record<string, unknown>
  const metadata: Envelope = { ...input, schemaVersion: definition.version }
  assertFits(event.type, 'metadata', WrittenEnvelope, metadata)
  const personal: Record<string, unknown> = {}
  const secrets: Record<string, unknown> = {}
  const open: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(data)) {
    const kind = definition.personal.includes(field) ? personal : definition.secrets.includes(field) ? secrets : open
    kind[field] = value
  }
  // Nothing to hide (an optional description that was not given): no key is needed to read it.
  if (allNull(personal) && allNull(secrets)) return { id, type: event.type, data, metadata }

  const subject = String(data[definition.subject!])
  const part = { tenant: input.tenant, subject, context: contextOf(input.tenant, subject, event.type, id) }
  const sealed = {
    ...(allNull(personal) ? personal : { sealed: seal(part, personal) }),
    ...(allNull(secrets) ? secrets : { secret: sealSecret(part, secrets) }),
  }
  return { id, type: event.type, data: { ...open, ...sealed }, metadata: { ...metadata, subject } }
}

/** The part of a recorded event that needs a key, or `undefined` when all of it is in clear. */
export function sealedPartOf({ id, type, data, metadata }: RecordedEvent): SealedPart | undefined {
  const sealed = (data as { sealed?: unknown } | null)?.sealed
  const { tenant, subject } = (metadata ?? {}) as { tenant?: unknown; subject?: unknown }
  if (typeof sealed !== 'string' || typeof tenant !== 'string' || typeof subject !== 'string') return undefined
  return { tenant, subject, context: contextOf(tenant, subject, type, id), sealed }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The secret part of a recorded event, or `undefined` when it has none. */
export function secretPartOf({ id, type, data, metadata }: RecordedEvent): SecretPart | undefined {
  const { key, sealed } = ((data as { secret?: unknown } | null)?.secret ?? {}) as { key?: unknown; sealed?: unknown }
  const { tenant, subject } = (metadata ?? {}) as { tenant?: unknown; subject?: unknown }
  if (typeof key !== 'string' || !uuid.test(key) || typeof sealed !== 'string') return undefined
  if (typeof tenant !== 'string' || typeof subject !== 'string') return undefined
  return { tenant, subject, context: contextOf(tenant, subject, type, id), key, sealed }
}

/** Makes the hidden fields of a schema nullable: what erased data decodes as. Made once per definition. */
const openedSchemas = new WeakMap<EventDefinition, z.ZodObject>()
function openedSchemaOf(definition: EventDefinition): z.ZodObject {
  let schema = openedSchemas.get(definition)
  if (!schema) {
    const nullable = Object.fromEntries(
      hiddenOf(definition).map((field) => [field, z.nullable(definition.data.shape[field] as z.ZodType)]),
    )
    schema = hiddenOf(definition).length ? definition.data.extend(nullable) : definition.data
    openedSchemas.set(definition, schema)
  }
  return schema
}

/**
 * Reads one recorded event as today's version. Never throws: what cannot be read is a result of its own. Texts of former releases are
 * made {@link readable} first.
 * @param personal what `OpenAll` has made of the sealed part; `undefined` when nothing was sealed.
 * @param secrets what `OpenSecrets` has made of the secret part; `undefined` reads as `null`: to who can not open them, secrets are not
 *   there.
 */
export function decodeEvent(recorded: RecordedEvent, personal?: Opened, secrets?: Opened): DecodeResult {
  const { type } = recorded
  const definition = definitionOf(type)
  if (!definition) return { kind: 'unknown-type', type }

  const envelope = Envelope.safeParse(readable(recorded.metadata))
  if (!envelope.success) return { kind: 'invalid', type, reason: `metadata: ${z.prettifyError(envelope.error)}` }
  const { schemaVersion } = envelope.data
  if (schemaVersion > definition.version) return { kind: 'newer-version', type, version: schemaVersion }

  if (personal instanceof Error)
    return { kind: 'invalid', type, reason: `personal data: ${personal.message}`, cause: personal }
  if (secrets instanceof Error) return { kind: 'invalid', type, reason: `secrets: ${secrets.message}`, cause: secrets }

  let data = recorded.data as Record<string, unknown>
  if (typeof data !== 'object' || data === null) return { kind: 'invalid', type, reason: 'data is no object' }
  if (personal !== undefined) {
    const { sealed: _, ...open } = data
    data = { ...open, ...(personal ?? Object.fromEntries(hiddenOf(definition).map((field) => [field, null]))) }
  }
  if (secretPartOf(recorded)) {
    const { secret: _, ...open } = data
    data = { ...open, ...(secrets ?? Object.fromEntries(definition.secrets.map((field) => [field, null]))) }
  }
  data = readable(data)
  try {
    for (let version = schemaVersion; version < definition.version; version++) data = definition.upcast[version]!(data)
  } catch (error) {
    return { kind: 'invalid', type, reason: `upcast from version ${schemaVersion}: ${String(error)}` }
  }
  const parsed = openedSchemaOf(definition).safeParse(data)
  if (!parsed.success) return { kind: 'invalid', type, reason: z.prettifyError(parsed.error) }

  const { id, stream, revision, position } = recorded
  const event = {
    id,
    type,
    stream,
    revision,
    position,
    data: parsed.data,
    at: envelope.data.occurredAt,
    envelope: envelope.data,
  }
  return { kind: 'event', event: event as unknown as AnnalsEvent }
}

/**
 * Reads a batch of recorded events, in order, opening all personal data with one call, and all secrets with one.
 * @param openSecrets left out by who has no key for them.
 * @throws whatever `openAll` and `openSecrets` throw: a key store that does not answer is transient, and nothing has been decided.
 */
export async function decodeAll(
  recorded: readonly RecordedEvent[],
  openAll: OpenAll,
  openSecrets?: OpenSecrets,
): Promise<DecodeResult[]> {
  const parts = recorded.map(sealedPartOf)
  const secretParts = recorded.map((event) => (openSecrets ? secretPartOf(event) : undefined))
  const [sealed, secret] = [
    parts.filter((part) => part !== undefined),
    secretParts.filter((part) => part !== undefined),
  ]
  // At once: a login that has both kinds to open asks the key table no longer than one that has one.
  const [opened, openedSecrets] = await Promise.all([
    sealed.length ? openAll(sealed) : [],
    secret.length && openSecrets ? openSecrets(secret) : [],
  ])
  let [next, nextSecret] = [0, 0]
  return recorded.map((event, i) =>
    decodeEvent(event, parts[i] ? opened[next++] : undefined, secretParts[i] ? openedSecrets[nextSecret++] : undefined),
  )
}
