import { decodeEvent, sealedPartOf, type AnnalsEvent, type Opened, type SealedPart } from '@annals/contracts'
import { isTransientPostgresError } from '@annals/platform/postgres'
import { UnknownSubject, type KeyReader } from '@annals/platform/subject-keys'
import type { Claim } from '../deliveries/claims'
import type { KeptEvent } from '../recipients/recipient'
import type { Templates } from '../templates/templates'
import type { OutgoingMessage } from '../vocabulary'
import { wordsOf } from './letter'

/** `key-missing`: the person's row of the key table was lost; it can be put back from a backup. */
export type PutOffReason = 'recipient-unreadable' | 'key-missing' | 'not-renderable'

/** A claim made ready, or why nothing can be sent for it. */
export type Composed =
  | { kind: 'message'; message: Omit<OutgoingMessage, 'traceparent'> }
  /** `expired`: no answer to the challenge is taken any more. */
  | { kind: 'suppressed'; reason: 'recipient-erased' | 'expired' }
  | { kind: 'rejected'; reason: 'no-address' }
  /** A fault of ours, such as a wrong master key or a template's mistake: the schedule leaves hours to mend it. */
  | { kind: 'put-off'; reason: PutOffReason; cause?: unknown }

export interface ComposeDeps {
  templates: Templates
  /** What links in messages begin with. */
  publicUrl: string
}

/**
 * Opens the recipients of claims, with one call, and writes their messages. Addresses, codes and tokens exist in clear from here to
 * the channel and nowhere else.
 * @returns in the order of the claims.
 * @throws when the key store does not answer: nothing is decided then.
 */
export async function compose(
  claims: readonly Claim[],
  keys: Pick<KeyReader, 'openAll'>,
  deps: ComposeDeps,
): Promise<Composed[]> {
  const sources = claims.map(sourceOf)
  const parts = sources.map((source) => ('event' in source ? sealedPartOf(placed(source.event)) : undefined))
  const opened = await openEach(
    parts.filter((part) => part !== undefined),
    keys,
  )
  let next = 0
  return claims.map((claim, i) => {
    const source = sources[i]!
    if (!('event' in source)) return source
    const personal = parts[i] ? opened[next++] : undefined
    if (personal instanceof UnknownSubject) return { kind: 'put-off', reason: 'key-missing', cause: personal }
    if (personal instanceof Error) return { kind: 'put-off', reason: 'recipient-unreadable', cause: personal }
    if (personal === null)
      return { kind: 'suppressed', reason: isChallenge(source.event) ? 'expired' : 'recipient-erased' }
    return composeOne(claim, source.event, personal, deps)
  })
}

const isChallenge = ({ type }: { type: string }) => type === 'challenge.issued'

/** The event that tells where the message goes, or what there is to say without one. */
function sourceOf({ recipient, channel, eventType, now }: Claim): { event: KeptEvent } | Composed {
  // The rows of challenges that are over are dropped.
  if (!recipient)
    return isChallenge({ type: eventType })
      ? { kind: 'suppressed', reason: 'expired' }
      : { kind: 'put-off', reason: 'recipient-unreadable' }
  const { event, address, phone } = recipient
  if (isChallenge(event)) {
    const { expiresAt } = event.data as { expiresAt: string }
    return Date.parse(expiresAt) <= now ? { kind: 'suppressed', reason: 'expired' } : { event }
  }
  if (channel === 'email') return { event: address ?? event }
  return phone ? { event: phone } : { kind: 'rejected', reason: 'no-address' }
}

/**
 * All with one call; if that is refused because of one of them, each by itself, so that it does not hold up the others. A key table
 * that has nobody's key is another one, or empty: that says nothing about a person.
 */
async function openEach(parts: readonly SealedPart[], keys: Pick<KeyReader, 'openAll'>): Promise<Opened[]> {
  if (parts.length === 0) return []
  try {
    return await keys.openAll(parts)
  } catch (error) {
    if (error instanceof UnknownSubject || isTransientPostgresError(error) || isRefusedByPostgres(error)) throw error
    if (parts.length === 1) return [error as Error]
    const each = []
    for (const part of parts) each.push(...(await openEach([part], keys)))
    return each
  }
}

/** A five-character SQLSTATE: the key table is missing, or may not be read; that says nothing about a text. */
const isRefusedByPostgres = (error: unknown): boolean =>
  /^[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code))

/** Where the event stood does not matter for reading it. */
const placed = (event: KeptEvent) => ({ ...event, stream: '', revision: 0, position: 0n })

/** @returns the event as it reads with what was opened of it; anything else: why it does not. */
const read = (event: KeptEvent, personal: Opened | undefined) => decodeEvent(placed(event), personal)

/** The language that the person chose last. It is no secret: nothing is opened for it. */
function localeOf({ event, profile }: NonNullable<Claim['recipient']>): string {
  for (const told of [profile, event]) {
    if (!told) continue
    const result = read(told, sealedPartOf(placed(told)) ? null : undefined)
    if (result.kind === 'event' && 'locale' in result.event.data) return result.event.data.locale
  }
  return 'en'
}

/** @returns the address by which a channel reaches the recipient; `null`: there is none; `undefined`: the event tells none. */
function addressIn(event: AnnalsEvent): string | null | undefined {
  switch (event.type) {
    case 'user.registered':
    case 'user.email_changed':
      return event.data.email
    case 'user.phone_changed':
      return event.data.phone
    case 'challenge.issued':
      return event.data.to
    default:
      return undefined
  }
}

/**
 * Nobody has proved yet that an address is theirs: anyone registers anyone's address, and a name would be their words in a mail of ours
 * to a stranger. So no name is passed on, to templates of any version.
 */
function composeOne(
  { identity, template, data, recipient, now }: Claim,
  source: KeptEvent,
  personal: Opened | undefined,
  { templates, publicUrl }: ComposeDeps,
): Composed {
  const result = read(source, personal)
  const to = result.kind === 'event' ? addressIn(result.event) : undefined
  if (result.kind !== 'event' || to === undefined)
    return { kind: 'put-off', reason: 'recipient-unreadable', cause: result }
  if (to === null) return { kind: 'rejected', reason: 'no-address' }
  const { event } = result
  const words = event.type === 'challenge.issued' ? { ...data, ...wordsOf(event, publicUrl, now) } : data
  try {
    const written = templates.render(template, localeOf(recipient!), { name: null, data: words })
    return { kind: 'message', message: { identity, to, ...written } }
  } catch (cause) {
    return { kind: 'put-off', reason: 'not-renderable', cause }
  }
}
