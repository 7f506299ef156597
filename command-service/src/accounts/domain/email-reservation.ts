import type { NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'

type EmailEventType = 'email.reserved' | 'email.released'

export type EmailReservation = { status: 'free' } | { status: 'reserved'; userId: UserId }

const initial: EmailReservation = { status: 'free' }

function evolve(_reservation: EmailReservation, event: Past<EmailEventType>): EmailReservation {
  switch (event.type) {
    case 'email.reserved':
      return { status: 'reserved', userId: event.data.userId }
    case 'email.released':
      return initial
  }
}

/** Who holds an address is what was said of it last, however often it went from hand to hand. */
export const emailReservationDecider: Decider<EmailReservation, EmailEventType> = {
  category: 'email',
  reads: 'first-and-last',
  initial,
  evolve,
}

/** The first to come holds the address; whoever comes later learns by the state who that was. */
export const reserve =
  ({ userId }: { userId: UserId }) =>
  (reservation: EmailReservation): NewEvent<'email.reserved'>[] => {
    switch (reservation.status) {
      case 'free':
        return [{ type: 'email.reserved', data: { userId } }]
      case 'reserved':
        return []
    }
  }

/** Only its holder lets go of an address. */
export const release =
  ({ userId }: { userId: UserId }) =>
  (reservation: EmailReservation): NewEvent<'email.released'>[] =>
    reservation.status === 'reserved' && reservation.userId === userId
      ? [{ type: 'email.released', data: { userId } }]
      : []
