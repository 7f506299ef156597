import type { AnnalsEvent, EventType, RecordedEvent } from '@annals/contracts'

/** An event as it is kept: what is personal in it stays sealed. */
export type KeptEvent = Pick<RecordedEvent, 'id' | 'type' | 'data' | 'metadata'>

/** Whom a delivery is for, as the log tells it. No address stands in it in clear. */
export interface Recipient {
  /** `user.registered` of a person, or `challenge.issued`. */
  event: KeptEvent
  /** Of a person, the last of each kind; `null`: nothing has changed since. */
  address: KeptEvent | null
  phone: KeptEvent | null
  profile: KeptEvent | null
}

/** What an event tells of a recipient. */
export interface RecipientFact {
  tenant: string
  /** A user's id, or a challenge's. */
  id: string
  part: keyof Recipient
  recorded: RecordedEvent
  /** ISO 8601: nothing is sent to it from then on; `null`: it stays. */
  expiresAt: string | null
}

/** Event types that tell of recipients: they are read whatever the rules ask for. */
export const recipientTypes = [
  'user.registered',
  'user.email_changed',
  'user.phone_changed',
  'user.profile_changed',
  'challenge.issued',
] as const satisfies readonly EventType[]

/** @returns what the event tells of a recipient; `undefined`: nothing. */
export function recipientFactOf(event: AnnalsEvent, recorded: RecordedEvent): RecipientFact | undefined {
  const of = (id: string, part: keyof Recipient, expiresAt: string | null = null): RecipientFact => ({
    tenant: event.envelope.tenant,
    id,
    part,
    recorded,
    expiresAt,
  })
  switch (event.type) {
    case 'user.registered':
      return of(event.data.userId, 'event')
    case 'user.email_changed':
      return of(event.data.userId, 'address')
    case 'user.phone_changed':
      return of(event.data.userId, 'phone')
    case 'user.profile_changed':
      return of(event.data.userId, 'profile')
    case 'challenge.issued':
      return of(event.data.challengeId, 'event', event.data.expiresAt)
    default:
      return undefined
  }
}
