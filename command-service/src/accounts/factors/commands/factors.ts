import { streamOf, type FactorId, type Principal } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import type { Request } from '../../../core/command-context'
import type { Execute } from '../../../core/execute'
import { Rejected } from '../../../core/rejected'
import { factorDecider } from '../../domain/factor'
import { factorListDecider, type NamedFactor } from '../../domain/factor-list'
import { factorsMax, removeFactor } from '../../domain/factors'
import { addressOf } from '../../domain/person'
import { userDecider } from '../../domain/user'
import type { Enrolment } from '../enrolment'
import type { FactorCheck } from '../factor-check'
import { newRecoveryCodes, recoveryCodeHash } from '../recovery-codes'
import { newTotpSecret } from '../totp'

/** As long as it takes to find the phone and the app. */
const totpConfirmMs = 15 * 60_000

export interface ListedFactor extends NamedFactor {
  /** Recovery codes that are left; `null`: of another kind. */
  codesLeft: number | null
}

export interface FactorDeps {
  execute: Execute
  enrolment: Enrolment
  factorCheck: Pick<FactorCheck, 'checkNewTotp'>
  /** Name of this service, as an authenticator app shows it. */
  productName: string
}

/** Second factors of the person who is logged in. */
export function createFactorCommands({ execute, enrolment, factorCheck, productName }: FactorDeps) {
  const { run, personOf, create, add } = enrolment

  async function codesLeft({ kind, factorId }: NamedFactor): Promise<number | null> {
    if (kind !== 'recovery-codes') return null
    const { state } = await execute.load(factorDecider, streamOf.factor(factorId))
    if (state.status === 'none' || state.proof.kind !== 'recovery-codes') return null
    return (state.proof.hashes?.length ?? 0) - state.spent.length
  }

  return {
    async list({ userId }: Principal): Promise<ListedFactor[]> {
      const { state } = await execute.load(factorListDecider, streamOf.user(userId))
      return Promise.all(state.map(async (factor) => ({ ...factor, codesLeft: await codesLeft(factor) })))
    },

    /** A secret for an authenticator app. It counts once a code of it was shown. @throws Rejected `too-many-factors`. */
    beginTotp: (request: Request, principal: Principal) =>
      run(request, principal, async (context) => {
        const { account, person } = await personOf(principal)
        if (account.factors.length >= factorsMax) throw new Rejected('too-many-factors')
        const { secret, uri } = newTotpSecret(productName, addressOf(person))
        const factorId = newId()
        await create({ factorId, kind: 'totp' }, principal, { totpSecret: secret }, context)
        const expiresAt = new Date(Date.parse(context.occurredAt) + totpConfirmMs).toISOString()
        return { factorId, secret, uri, expiresAt }
      }),

    /** @throws Rejected `challenge-failed`; TooManyRequests. */
    confirmTotp: (
      request: Request,
      principal: Principal,
      { factorId, code, label }: { factorId: FactorId; code: string; label: string | null },
    ) =>
      run(request, principal, async (context) => {
        await personOf(principal)
        const { state } = await execute.load(factorDecider, streamOf.factor(factorId))
        const isFresh =
          state.status === 'created' && Date.parse(context.occurredAt) < Date.parse(state.createdAt) + totpConfirmMs
        // Counted all the same: nobody finds out by it which factors there are.
        await factorCheck.checkNewTotp(principal.userId, isFresh ? factorId : newId(), code, context)
        return add({ factorId, kind: 'totp' }, principal, label, context)
      }),

    /** Codes to the address or the phone of the account. @throws Rejected `address-not-proved`. */
    addMessages: (request: Request, principal: Principal, kind: 'sms' | 'email', label: string | null) =>
      run(request, principal, async (context) => {
        const { account, person } = await personOf(principal)
        const isProved = kind === 'email' ? account.emailProved : person.contact.phone !== null
        if (!isProved) throw new Rejected('address-not-proved')
        const factor = { factorId: newId(), kind }
        await create(factor, principal, {}, context)
        return add(factor, principal, label, context)
      }),

    /** A new set of codes; the former one counts no more. @throws Rejected `factor-missing`. */
    newRecoveryCodes: (request: Request, principal: Principal) =>
      run(request, principal, async (context) => {
        await personOf(principal)
        const factor = { factorId: newId(), kind: 'recovery-codes' } as const
        const codes = newRecoveryCodes()
        const codeHashes = codes.map((code) => recoveryCodeHash(factor.factorId, code))
        await create(factor, principal, { codeHashes }, context)
        await add(factor, principal, null, context)
        return { factorId: factor.factorId, codes }
      }),

    /** @throws Rejected `factor-not-found`. */
    remove: (request: Request, bearer: Principal, factorId: FactorId) =>
      run(request, bearer, async (context) => {
        await execute(userDecider, {
          stream: streamOf.user(bearer.userId),
          context,
          decide: removeFactor({ bearer, factorId, at: context.occurredAt }),
        })
      }),
  }
}
