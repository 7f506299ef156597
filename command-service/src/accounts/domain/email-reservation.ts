import type { NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'

type EmailEventType = 'email.reserved' | 'email.released'

export type EmailReservation =
  | { status: 'free' }
  | { status: 'reserved'; userId: UserId }
  /** Nobody's address, and nobody's to take but its former holder's, until a time (ISO 8601). */
  | { status: 'kept'; userId: UserId; until: string }

const initial: EmailReservation = { status: 'free' }

function evolve(_reservation: EmailReservation, event: Past<EmailEventType>): EmailReservation {
  switch (event.type) {
    case 'email.reserved':
      return { status: 'reserved', userId: event.data.userId }
    case 'email.released': {
      const { userId, keptUntil } = event.data
      return keptUntil === null ? initial : { status: 'kept', userId, until: keptUntil }
    }
  }
}

/** Who holds an address is what was said of it last, however often it went from hand to hand. */
export const emailReservationDecider: Decider<EmailReservation, EmailEventType> = {
  category: 'email',
  reads: 'first-and-last',
  initial,
  evolve,
}

/** Whether somebody may take an address now, or holds it already. @param at ISO 8601: now. */
export function mayHold(reservation: EmailReservation, userId: UserId, at: string): boolean {
  switch (reservation.status) {
    case 'free':
      return true
    case 'reserved':
      return reservation.userId === userId
    case 'kept':
      return reservation.userId === userId || at >= reservation.until
  }
}

/** The first to come holds the address; whoever comes later learns by the state who that was. */
export const reserve =
  ({ userId, at }: { userId: UserId; at: string }) =>
  (reservation: EmailReservation): NewEvent<'email.reserved'>[] => {
    if (reservation.status === 'reserved' || !mayHold(reservation, userId, at)) return []
    return [{ type: 'email.reserved', data: { userId } }]
  }

/** Only its holder lets go of an address; keeping it free for that holder for some time is their right alone. */
export const release =
  ({ userId, keptUntil }: { userId: UserId; keptUntil: string | null }) =>
  (reservation: EmailReservation): NewEvent<'email.released'>[] =>
    reservation.status === 'reserved' && reservation.userId === userId
      ? [{ type: 'email.released', data: { userId, keptUntil } }]
      : []
