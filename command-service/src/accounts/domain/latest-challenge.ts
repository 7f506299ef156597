import type { ChallengeId, ChallengePurpose, NewEvent, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'

/** `null`: none was made the latest; then it does not matter which. */
export interface LatestChallenge {
  challengeId: ChallengeId | null
}

/** Which of the challenges of an account for one purpose can be answered. However many there were, the last event tells. */
export const latestChallengeDecider: Decider<LatestChallenge, 'challenge.made_latest'> = {
  category: 'latest',
  reads: 'first-and-last',
  initial: { challengeId: null },
  evolve: (_latest, { data: { challengeId } }: Past<'challenge.made_latest'>) => ({ challengeId }),
}

/** From now on those before it can not be answered: two links in two mails never work at once. */
export const makeLatest =
  (input: { challengeId: ChallengeId; purpose: ChallengePurpose; userId: UserId }) =>
  ({ challengeId }: LatestChallenge): NewEvent<'challenge.made_latest'>[] =>
    challengeId === input.challengeId ? [] : [{ type: 'challenge.made_latest', data: input }]
