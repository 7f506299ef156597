import type { NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'

export type EmailReservation = { status: 'free' } | { status: 'reserved'; userId: UserId }

const initial: EmailReservation = { status: 'free' }

function evolve(_reservation: EmailReservation, event: Past<'email.reserved'>): EmailReservation {
  switch (event.type) {
    case 'email.reserved':
      return { status: 'reserved', userId: event.data.userId }
  }
}

export const emailReservationDecider: Decider<EmailReservation, 'email.reserved'> = {
  category: 'email',
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
