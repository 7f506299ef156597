import {
  streamOf,
  type ChallengeChannel,
  type ChallengeId,
  type ChallengePurpose,
  type UserId,
} from '@annals/contracts'
import { stepOf, type CommandContext } from '../core/command-context'
import type { Execute } from '../core/execute'
import type { KeyWriter } from '../core/key-writer'
import { Rejected } from '../core/rejected'
import type { ChallengeSecrets } from './challenge-secrets'
import { addresseeDecider, answer, challengeDecider, issue, voidChallenge, type Asked } from './domain/challenge'
import { latestChallengeDecider, makeLatest } from './domain/latest-challenge'

export interface NewChallenge {
  /** New, or derived from the command: asking twice is one challenge. */
  challengeId: ChallengeId
  purpose: ChallengePurpose
  /** Whose account it is about, and its epoch: the answer counts only while that lasts. `null`: nobody's yet. */
  account: { userId: UserId; epoch: number } | null
  /** What it is about, where that is no account: an attempt to register, a factor. */
  about?: string
  channel: ChallengeChannel
  /** E-mail address, or phone number in the form of E.164. */
  to: string
  locale: string
  lifeSeconds: number
  /** Of an account's challenges for a purpose only the latest can be answered; this is it from now on. Default: any can. */
  latestOf?: { userId: UserId; purpose: ChallengePurpose }
  /** What may be answered with. */
  by: readonly ('code' | 'token')[]
}

/** What somebody answers with: what the link carried, or the challenge's id and the code that came. */
export type Given = { token: string } | { challengeId: ChallengeId; code: string }

export interface Answered extends Asked {
  challengeId: ChallengeId
  /** Where the message was sent. */
  to: string
  /** `false`: this answer was taken before. What must happen once (a login) happens with the first alone. */
  isFirst: boolean
}

/** Asks somebody to show that a message reached them. */
export interface Challenges {
  /**
   * Records what is asked; the notifier sends it. Others of `latestOf` can not be answered from then on, even if this one is
   * not issued after all.
   * @returns ISO 8601: until when an answer is taken.
   */
  issue(challenge: NewChallenge, context: CommandContext): Promise<string>
  /**
   * Takes an answer. The same right answer again is taken as well, while the challenge lasts, so that a command that was cut
   * off can be completed: what follows from it has to be the same then.
   * @throws Rejected `challenge-failed`: it is wrong, too late, for another purpose, one guess too many, or there is a later one.
   */
  answer(given: Given, purpose: ChallengePurpose, context: CommandContext): Promise<Answered>
  /** From now on no answer is taken. */
  void(challengeId: ChallengeId, context: CommandContext): Promise<void>
}

export interface ChallengeDeps {
  execute: Execute
  keys: Pick<KeyWriter, 'makeKeyUntil'>
  secrets: ChallengeSecrets
  tenant: string
}

export function createChallenges({ execute, keys, secrets, tenant }: ChallengeDeps): Challenges {
  /** @returns where the message went; the key with which that is sealed lasts as long as the challenge. */
  async function addresseeOf(challengeId: ChallengeId): Promise<string> {
    const { state } = await execute.load(addresseeDecider, streamOf.challenge(challengeId))
    if (state.to === null) throw new Rejected('challenge-failed')
    return state.to
  }

  async function askedOf(challengeId: ChallengeId): Promise<Asked | undefined> {
    const { state } = await execute.load(challengeDecider, streamOf.challenge(challengeId))
    return state.status === 'open' || state.status === 'answered' ? state : undefined
  }

  async function assertLatest(challengeId: ChallengeId): Promise<void> {
    const asked = await askedOf(challengeId)
    if (!asked || asked.userId === null) return
    const stream = streamOf.latestChallenge(asked.purpose, asked.userId)
    const { challengeId: latest } = (await execute.load(latestChallengeDecider, stream)).state
    if (latest !== null && latest !== challengeId) throw new Rejected('challenge-failed')
  }

  return {
    async issue({ challengeId, purpose, account, about, channel, to, locale, lifeSeconds, latestOf, by }, context) {
      const expiresAt = new Date(Date.parse(context.occurredAt) + lifeSeconds * 1000).toISOString()
      const issued = await askedOf(challengeId)
      // It may have a successor by now, which stays the latest.
      if (issued) return issued.expiresAt
      // The key comes first: a crash leaves a key that expires, and nothing sealed with it.
      await keys.makeKeyUntil(tenant, challengeId, expiresAt)
      if (latestOf)
        await execute(latestChallengeDecider, {
          stream: streamOf.latestChallenge(latestOf.purpose, latestOf.userId),
          context: stepOf(context, 'latest', challengeId),
          decide: makeLatest({ ...latestOf, challengeId }),
        })
      const { state } = await execute(challengeDecider, {
        stream: streamOf.challenge(challengeId),
        context: stepOf(context, 'challenge', challengeId),
        decide: issue({
          challengeId,
          purpose,
          userId: account?.userId ?? null,
          epoch: account?.epoch ?? null,
          about: about ?? null,
          channel,
          locale,
          to,
          code: by.includes('code') ? secrets.codeOf(challengeId) : null,
          token: by.includes('token') ? secrets.tokenOf(challengeId) : null,
          expiresAt,
        }),
      })
      return state.status === 'open' || state.status === 'answered' ? state.expiresAt : expiresAt
    },

    async answer(given, purpose, context) {
      const challengeId = 'token' in given ? secrets.readToken(given.token) : given.challengeId
      // Nothing is looked up for a token that was not made here: 256 bits of a keyed hash are not guessed.
      if (challengeId === undefined) throw new Rejected('challenge-failed')
      await assertLatest(challengeId)
      const isRight = 'token' in given || secrets.isCode(challengeId, given.code)
      const { latest, appended: isFirst } = await execute(challengeDecider, {
        stream: streamOf.challenge(challengeId),
        // Each attempt is a command of its own, or the second guess would be taken for a repeat of the first.
        context: stepOf(context, 'answer', challengeId),
        decide: answer({ challengeId, purpose, isRight, at: context.occurredAt }),
      })
      if (latest.state.status !== 'answered' || !isRight) throw new Rejected('challenge-failed')
      const { userId, epoch, about, expiresAt } = latest.state
      const to = await addresseeOf(challengeId)
      return { challengeId, purpose, userId, epoch, about, expiresAt, to, isFirst }
    },

    async void(challengeId, context) {
      await execute(challengeDecider, {
        stream: streamOf.challenge(challengeId),
        context: stepOf(context, 'void', challengeId),
        decide: voidChallenge({ challengeId }),
      })
    },
  }
}
