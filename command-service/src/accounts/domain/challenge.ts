import type { ChallengePurpose, NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type ChallengeEventType = 'challenge.issued' | 'challenge.guessed' | 'challenge.answered' | 'challenge.voided'

/** What somebody was asked. */
export interface Asked {
  purpose: ChallengePurpose
  /** Whose account it is about; `null`: nobody's yet. */
  userId: UserId | null
  /** The epoch of that account when it was issued; `null`: without an account. */
  epoch: number | null
  /** What it is about, where that is no account. */
  about: string | null
  /** ISO 8601: no answer is taken from then on. */
  expiresAt: string
}

export type Challenge =
  | { status: 'none' }
  | ({ status: 'open'; guesses: number } & Asked)
  | ({ status: 'answered' } & Asked)
  | { status: 'voided' }

function evolve(challenge: Challenge, event: Past<ChallengeEventType>): Challenge {
  switch (event.type) {
    case 'challenge.issued': {
      const { purpose, userId, epoch, about, expiresAt } = event.data
      return { status: 'open', guesses: 0, purpose, userId, epoch, about, expiresAt }
    }
    case 'challenge.guessed':
      return challenge.status === 'open' ? { ...challenge, guesses: event.data.guess } : challenge
    case 'challenge.answered': {
      if (challenge.status !== 'open') return challenge
      const { guesses: _, ...asked } = challenge
      return { ...asked, status: 'answered' }
    }
    case 'challenge.voided':
      return { status: 'voided' }
  }
}

export const challengeDecider: Decider<Challenge, ChallengeEventType> = {
  category: 'challenge',
  initial: { status: 'none' },
  evolve,
}

/** Where a challenge was sent; `null` when it is over and its key is destroyed, or there is none. */
export const addresseeDecider: Decider<{ to: string | null }, ChallengeEventType> = {
  category: 'challenge',
  readsPersonal: true,
  initial: { to: null },
  evolve: (state, event) => (event.type === 'challenge.issued' ? { to: event.data.to } : state),
}

/** One code in 200,000 is hit by so many guesses (NIST SP 800-63B-4 § 3.1.3.2 would bear 100 in all). */
export const guessesMax = 5

type Issue = NewEvent<'challenge.issued'>['data']

export const issue =
  (input: Issue) =>
  (challenge: Challenge): NewEvent<'challenge.issued'>[] =>
    challenge.status === 'none' ? [{ type: 'challenge.issued', data: input }] : []

export interface Answer {
  challengeId: string
  /** What the answer is meant for: one that was given for another purpose is none. */
  purpose: ChallengePurpose
  isRight: boolean
  /** ISO 8601: now. */
  at: string
}

/**
 * A right answer is recorded once, a wrong one counted. Whether the answer was right, the state afterwards says: `answered`.
 * A message that an address is taken looks to strangers like one that asks to prove it: no code is right, and guesses are counted.
 * The same right answer again, within the time of the challenge, changes nothing: whoever was cut off goes on where they were.
 * @throws Rejected `challenge-failed` when no answer is taken.
 */
export const answer =
  ({ challengeId, purpose, isRight: isMatch, at }: Answer) =>
  (challenge: Challenge): NewEvent<'challenge.answered' | 'challenge.guessed'>[] => {
    if (challenge.status === 'none' || challenge.status === 'voided') throw new Rejected('challenge-failed')
    const hasNoAnswer = challenge.purpose === 'address-taken' && purpose === 'verify-email'
    const isRight = isMatch && !hasNoAnswer
    if ((challenge.purpose !== purpose && !hasNoAnswer) || at >= challenge.expiresAt)
      throw new Rejected('challenge-failed')
    if (challenge.status === 'answered') {
      if (!isRight) throw new Rejected('challenge-failed')
      return []
    }
    if (challenge.guesses >= guessesMax) throw new Rejected('challenge-failed')
    if (isRight) return [{ type: 'challenge.answered', data: { challengeId, purpose, userId: challenge.userId } }]
    return [{ type: 'challenge.guessed', data: { challengeId, guess: challenge.guesses + 1 } }]
  }

/** No answer is taken any more; one that was taken stays taken. */
export const voidChallenge =
  ({ challengeId }: { challengeId: string }) =>
  (challenge: Challenge): NewEvent<'challenge.voided'>[] =>
    challenge.status === 'open' ? [{ type: 'challenge.voided', data: { challengeId } }] : []
