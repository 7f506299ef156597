import { decodeEvent, sealedPartOf, type Opened, type RecordedEvent, type SealedPart } from '@annals/contracts'
import { isTransientPostgresError } from '@annals/platform/postgres'
import { UnknownSubject, type KeyReader } from '@annals/platform/subject-keys'
import type { Claim } from '../deliveries/claims'
import type { Templates } from '../templates/templates'
import type { OutgoingMessage } from '../vocabulary'

/** `key-missing`: the person's row of the key table was lost; it can be put back from a backup. */
export type PutOffReason = 'registration-unreadable' | 'key-missing' | 'not-renderable'

/** A claim made ready, or why nothing can be sent for it. */
export type Composed =
  | { kind: 'message'; message: Omit<OutgoingMessage, 'traceparent'> }
  | { kind: 'suppressed'; reason: 'recipient-erased' }
  | { kind: 'rejected'; reason: 'no-address' }
  /** A fault of ours, such as a wrong master key or a template's mistake: the schedule leaves hours to mend it. */
  | { kind: 'put-off'; reason: PutOffReason; cause?: unknown }

/**
 * Opens the recipients of claims, with one call, and writes their messages. Addresses exist in clear from here to the
 * channel and nowhere else.
 * @returns in the order of the claims.
 * @throws when the key store does not answer: nothing is decided then.
 */
export async function compose(
  claims: readonly Claim[],
  keys: Pick<KeyReader, 'openAll'>,
  templates: Templates,
): Promise<Composed[]> {
  const recorded = claims.map(({ registration }) => registration && asRecorded(registration))
  const parts = recorded.map((event) => (event ? sealedPartOf(event) : undefined))
  const opened = await openEach(
    parts.filter((part) => part !== undefined),
    keys,
  )
  let next = 0
  return claims.map((claim, i) => {
    const event = recorded[i]
    if (!event) return { kind: 'put-off', reason: 'registration-unreadable' }
    const personal = parts[i] ? opened[next++] : undefined
    if (personal instanceof UnknownSubject) return { kind: 'put-off', reason: 'key-missing', cause: personal }
    if (personal instanceof Error) return { kind: 'put-off', reason: 'registration-unreadable', cause: personal }
    if (personal === null) return { kind: 'suppressed', reason: 'recipient-erased' }
    return composeOne(claim, event, personal, templates)
  })
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
const asRecorded = (registration: NonNullable<Claim['registration']>): RecordedEvent => ({
  ...registration,
  stream: '',
  revision: 0,
  position: 0n,
})

/**
 * Nobody has proved yet that an address is theirs: anyone registers anyone's address, and a name would be their words in a mail of ours
 * to a stranger. So no name is passed on, to templates of any version.
 */
function composeOne(
  { identity, channel, template, data }: Claim,
  recorded: RecordedEvent,
  personal: Record<string, unknown> | undefined,
  templates: Templates,
): Composed {
  const result = decodeEvent(recorded, personal)
  if (result.kind !== 'event' || result.event.type !== 'user.registered')
    return { kind: 'put-off', reason: 'registration-unreadable', cause: result }
  const { email, locale } = result.event.data
  // Nobody has told us a phone number yet: the channel is ready, the address is not.
  const to = channel === 'email' ? email : null
  if (to === null) return { kind: 'rejected', reason: 'no-address' }
  try {
    return { kind: 'message', message: { identity, to, ...templates.render(template, locale, { name: null, data }) } }
  } catch (cause) {
    return { kind: 'put-off', reason: 'not-renderable', cause }
  }
}
