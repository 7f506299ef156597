import type { CeremonyId, ChallengeId, FactorId, NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type CeremonyEventType = 'ceremony.code_asked' | 'ceremony.completed'

/**
 * A login that waits for its second factor, or a passkey that is being registered. It begins with a signed token and no
 * event: strangers write nothing. It comes to its end once.
 */
export type Ceremony =
  | { status: 'open'; codesAsked: number; asked: { factorId: FactorId; challengeId: ChallengeId } | null }
  | { status: 'completed' }

const initial: Ceremony = { status: 'open', codesAsked: 0, asked: null }

function evolve(ceremony: Ceremony, event: Past<CeremonyEventType>): Ceremony {
  switch (event.type) {
    case 'ceremony.code_asked': {
      if (ceremony.status !== 'open') return ceremony
      const { factorId, challengeId } = event.data
      return { ...ceremony, codesAsked: ceremony.codesAsked + 1, asked: { factorId, challengeId } }
    }
    case 'ceremony.completed':
      return { status: 'completed' }
  }
}

export const ceremonyDecider: Decider<Ceremony, CeremonyEventType> = { category: 'ceremony', initial, evolve }

/** The first message, and four more that did not arrive: each costs money, and is mail that nobody else asked for. */
export const codesAskedMax = 5

export interface AskCode {
  ceremonyId: CeremonyId
  userId: UserId
  factorId: FactorId
  challengeId: ChallengeId
}

/** From now on only the answer to this challenge counts. @throws Rejected `challenge-failed`: it is over, or one too many. */
export const askCode =
  (input: AskCode) =>
  (ceremony: Ceremony): NewEvent<'ceremony.code_asked'>[] => {
    if (ceremony.status === 'completed' || ceremony.codesAsked >= codesAskedMax) throw new Rejected('challenge-failed')
    return [{ type: 'ceremony.code_asked', data: input }]
  }

/** Whoever comes second has come too late. @throws Rejected `challenge-failed`. */
export const complete =
  ({ ceremonyId, userId }: { ceremonyId: CeremonyId; userId: UserId }) =>
  (ceremony: Ceremony): NewEvent<'ceremony.completed'>[] => {
    if (ceremony.status === 'completed') throw new Rejected('challenge-failed')
    return [{ type: 'ceremony.completed', data: { ceremonyId, userId } }]
  }
