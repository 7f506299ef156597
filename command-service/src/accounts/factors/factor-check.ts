import {
  streamOf,
  type AuthenticationMethod,
  type CeremonyId,
  type ChallengeId,
  type FactorId,
  type PasskeyAssertion,
  type UserId,
} from '@annals/contracts'
import type { CountAttempt } from '../../core/attempts'
import { stepOf, type CommandContext } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { TooManyRequests } from '../../core/faults'
import { Rejected } from '../../core/rejected'
import type { Challenges } from '../challenges'
import { factorDecider, tryFactor, waitMs, type Match, type TryFactor } from '../domain/factor'
import type { Account, Factor } from '../domain/user'
import type { Ceremonies } from './ceremonies'
import { userHandleOf, type Passkeys } from './passkeys'
import { recoveryCodeHash } from './recovery-codes'
import { totpStep } from './totp'

/** What somebody shows. */
export type Shown = { code: string } | { recoveryCode: string } | { credential: PasskeyAssertion }

export interface FactorAttempt {
  account: Pick<Account, 'userId' | 'factors' | 'epoch'>
  factorId: FactorId
  shown: Shown
  /** The login in which it is shown, and the code that was sent in it last. */
  ceremony: { ceremonyId: CeremonyId; asked: { factorId: FactorId; challengeId: ChallengeId } | null }
  context: CommandContext
}

/**
 * The one place where a second factor is checked. Each attempt is counted first, whichever factor it names; one that was
 * right is taken back. What is wrong with it is not told: another factor, another account's, a code that was used, a code
 * of yesterday all fail alike.
 */
export interface FactorCheck {
  /** @throws Rejected `challenge-failed`; TooManyRequests. */
  check(attempt: FactorAttempt): Promise<AuthenticationMethod>
  /** A TOTP factor that the account does not have yet. @throws as `check` does. */
  checkNewTotp(userId: UserId, factorId: FactorId, code: string, context: CommandContext): Promise<void>
}

export interface FactorCheckDeps {
  execute: Execute
  challenges: Pick<Challenges, 'answer'>
  ceremonies: Pick<Ceremonies, 'challengeOf'>
  passkeys: Pick<Passkeys, 'verifyLogin'>
  countAttempt: CountAttempt
}

const failed = () => new Rejected('challenge-failed')

export function createFactorCheck({
  execute,
  challenges,
  ceremonies,
  passkeys,
  countAttempt,
}: FactorCheckDeps): FactorCheck {
  /** What fails for a reason of ours does not count. */
  async function counted<T>(userId: UserId, judge: () => Promise<T>): Promise<T> {
    const attempt = await countAttempt('mfa', 'account', userId)
    let isWrong = false
    try {
      return await judge()
    } catch (error) {
      isWrong = error instanceof Rejected || error instanceof TooManyRequests
      throw error
    } finally {
      if (!isWrong) await attempt.giveBack()
    }
  }

  /** Has the factor judge what was shown, and keep that. */
  async function judged(factorId: FactorId, attempt: TryFactor, context: CommandContext): Promise<void> {
    const { state, appended } = await execute(factorDecider, {
      stream: streamOf.factor(factorId),
      context: stepOf(context, 'factor', factorId),
      decide: tryFactor(attempt),
    })
    if (state.status === 'none') throw failed()
    if (!appended) throw new TooManyRequests(Math.ceil(waitMs(state, attempt.at) / 1000))
    if (state.failures > 0) throw failed()
  }

  const totp = (userId: UserId, factorId: FactorId, code: string, context: CommandContext) => {
    const at = context.occurredAt
    const match: TryFactor['match'] = ({ proof }): Match => {
      if (proof.kind !== 'totp' || proof.secret === null) return undefined
      const step = totpStep(proof.secret, code, at)
      return step === undefined ? undefined : { mark: step }
    }
    return judged(factorId, { userId, match, at }, context)
  }

  const recoveryCode = (userId: UserId, factorId: FactorId, code: string, context: CommandContext) => {
    const hash = recoveryCodeHash(factorId, code)
    const match: TryFactor['match'] = ({ proof }): Match => {
      const place = proof.kind === 'recovery-codes' ? (proof.hashes?.indexOf(hash) ?? -1) : -1
      return place < 0 ? undefined : { place }
    }
    return judged(factorId, { userId, match, at: context.occurredAt }, context)
  }

  /** The challenge bears few guesses, and the factor counts them over all challenges. */
  async function sentCode({ account: { userId, epoch }, factorId, ceremony, context }: FactorAttempt, code: string) {
    const at = context.occurredAt
    const { state } = await execute.load(factorDecider, streamOf.factor(factorId))
    if (state.status === 'none') throw failed()
    const ms = waitMs(state, at)
    if (ms > 0) throw new TooManyRequests(Math.ceil(ms / 1000))
    let isRight = false
    if (ceremony.asked?.factorId === factorId) {
      const { challengeId } = ceremony.asked
      const answered = await challenges
        .answer({ challengeId, code }, 'second-factor', context)
        .catch((error: unknown) => {
          if (error instanceof Rejected) return undefined
          throw error
        })
      isRight = answered?.isFirst === true && answered.userId === userId && answered.epoch === epoch
    }
    await judged(factorId, { userId, match: () => (isRight ? { mark: null } : undefined), at }, context)
  }

  async function passkey(attempt: FactorAttempt, credential: PasskeyAssertion) {
    const {
      account: { userId },
      factorId,
      ceremony,
      context,
    } = attempt
    const { state } = await execute.load(factorDecider, streamOf.factor(factorId))
    const known = state.status === 'created' && state.proof.kind === 'passkey' ? state.proof.credential : null
    const isOwn = (credential.response.userHandle ?? userHandleOf(userId)) === userHandleOf(userId)
    const mark =
      known && isOwn && state.status === 'created'
        ? await passkeys.verifyLogin(ceremonies.challengeOf(ceremony.ceremonyId), credential, known, state.mark ?? 0)
        : undefined
    const match = () => (mark === undefined ? undefined : { mark })
    await judged(factorId, { userId, match, at: context.occurredAt }, context)
  }

  /** By what is shown and for which kind of factor; nothing fits: it is wrong. */
  async function judge(factor: Factor | undefined, attempt: FactorAttempt): Promise<AuthenticationMethod> {
    const { account, shown, context } = attempt
    if (factor?.kind === 'totp' && 'code' in shown) {
      await totp(account.userId, factor.factorId, shown.code, context)
      return 'totp'
    }
    if ((factor?.kind === 'sms' || factor?.kind === 'email') && 'code' in shown) {
      await sentCode(attempt, shown.code)
      return factor.kind
    }
    if (factor?.kind === 'recovery-codes' && 'recoveryCode' in shown) {
      await recoveryCode(account.userId, factor.factorId, shown.recoveryCode, context)
      return 'recovery-code'
    }
    if (factor?.kind === 'passkey' && 'credential' in shown) {
      await passkey(attempt, shown.credential)
      return 'passkey'
    }
    throw failed()
  }

  return {
    check(attempt) {
      const { account, factorId } = attempt
      const factor = account.factors.find((one) => one.factorId === factorId)
      return counted(account.userId, () => judge(factor, attempt))
    },
    checkNewTotp: (userId, factorId, code, context) => counted(userId, () => totp(userId, factorId, code, context)),
  }
}
