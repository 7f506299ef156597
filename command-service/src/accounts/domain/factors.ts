import type { FactorId, FactorKind, NewEvent } from '@annals/contracts'
import { Rejected } from '../../core/rejected'
import { assertChangeable, ownAccount, type Account, type Bearer, type Factor, type User } from './user'

/** More than anybody carries around; all of them are named at a login. */
export const factorsMax = 10

/** Of these an account has one: they stand for its address, its phone, its sheet of paper. */
const single: readonly FactorKind[] = ['sms', 'email', 'recovery-codes']

/** Whether a factor is one by itself. Recovery codes only stand in for another one. */
const standsAlone = ({ kind }: Pick<Factor, 'kind'>): boolean => kind !== 'recovery-codes'

/** What a login asks for beside the password; none: the password is enough. */
export const askedFactors = ({ factors }: Pick<Account, 'factors'>): readonly Factor[] =>
  factors.some(standsAlone) ? factors : []

type Change = NewEvent<'user.factor_added' | 'user.factor_removed'>

export interface AddFactor {
  /** The session in which it is asked for. */
  bearer: Bearer
  factorId: FactorId
  kind: FactorKind
  label: string | null
  /** ISO 8601: now. */
  at: string
}

/**
 * A factor that the account has already is not added again. A new one of a kind of which there is one takes the place of
 * the former, in the same append.
 * @throws Rejected `too-many-factors`; `factor-missing`: recovery codes stand in for another factor; `too-many-changes`.
 */
export const addFactor =
  ({ bearer, factorId, kind, label, at }: AddFactor) =>
  (user: User): Change[] => {
    const account = ownAccount(user, bearer)
    const { userId, factors } = account
    if (factors.some((factor) => factor.factorId === factorId)) return []
    const replaced = single.includes(kind) ? factors.filter((factor) => factor.kind === kind) : []
    if (factors.length - replaced.length >= factorsMax) throw new Rejected('too-many-factors')
    if (!standsAlone({ kind }) && !factors.some(standsAlone)) throw new Rejected('factor-missing')
    assertChangeable(account, at)
    return [
      ...replaced.map((factor): Change => ({ type: 'user.factor_removed', data: { userId, ...factor } })),
      { type: 'user.factor_added', data: { userId, factorId, kind, label } },
    ]
  }

/**
 * With the last factor that stands alone the recovery codes go too. The last one may be removed: then the password is
 * enough again.
 * @throws Rejected `factor-not-found`; `too-many-changes`.
 */
export const removeFactor =
  ({ bearer, factorId, at }: Pick<AddFactor, 'bearer' | 'factorId' | 'at'>) =>
  (user: User): Change[] => {
    const account = ownAccount(user, bearer)
    const { userId, factors } = account
    const removed = factors.find((factor) => factor.factorId === factorId)
    if (!removed) throw new Rejected('factor-not-found')
    assertChangeable(account, at)
    const left = factors.filter((factor) => factor !== removed)
    const gone = left.some(standsAlone) ? [removed] : [removed, ...left]
    return gone.map((factor) => ({ type: 'user.factor_removed', data: { userId, ...factor } }))
  }
