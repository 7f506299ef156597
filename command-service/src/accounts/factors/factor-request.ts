import { streamOf, type FactorId, type FactorKind } from '@annals/contracts'
import { derivedId } from '@annals/platform/ids'
import type { CountAttempt } from '../../core/attempts'
import { stepOf, type CommandContext } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { Rejected } from '../../core/rejected'
import type { Challenges } from '../challenges'
import { askCode, ceremonyDecider } from '../domain/ceremony'
import { factorDecider } from '../domain/factor'
import { personDecider } from '../domain/person'
import type { Account } from '../domain/user'
import type { Ceremonies, ClaimsOf } from './ceremonies'
import type { Passkeys } from './passkeys'

export interface FactorRequest {
  account: Pick<Account, 'userId' | 'factors' | 'epoch'>
  factorId: FactorId
  login: ClaimsOf<'second-factor'>
  context: CommandContext
}

export interface AskedFactor {
  /** ISO 8601: until when it can be answered. */
  expiresAt: string
  /** For `navigator.credentials.get`; `null`: a code was sent. */
  publicKey: Record<string, unknown> | null
}

/**
 * Asks for what a factor of a login needs: a message with a code, or the answer of a passkey. Another message ends the
 * former code at once.
 * @throws Rejected `challenge-failed`: the factor needs nothing, is none, or was asked for too often; TooManyRequests.
 */
export type RequestFactor = (request: FactorRequest) => Promise<AskedFactor>

export interface FactorRequestDeps {
  execute: Execute
  challenges: Pick<Challenges, 'issue' | 'void'>
  ceremonies: Pick<Ceremonies, 'challengeOf'>
  passkeys: Pick<Passkeys, 'loginOptions'>
  countAttempt: CountAttempt
}

export function createRequestFactor(deps: FactorRequestDeps): RequestFactor {
  const { execute, challenges, ceremonies, passkeys, countAttempt } = deps

  async function send(kind: 'sms' | 'email', { account, factorId, login, context }: FactorRequest) {
    const { userId, epoch } = account
    const { ceremonyId } = login
    // By themselves, or nobody could type in time what was sent. Each costs money: none is taken back.
    await countAttempt('mfa', 'account', `${userId}:message`)
    const { state: person } = await execute.load(personDecider, streamOf.user(userId))
    const { email, phone, locale } = person.contact
    const to = kind === 'email' ? email : phone
    if (to === null) throw new Rejected('challenge-failed')
    const stream = streamOf.ceremony(ceremonyId)
    const { state: before } = await execute.load(ceremonyDecider, stream)
    const challengeId = derivedId(context.commandId, 'second-factor', factorId)
    // First of all the former code stops counting; killed here, another one has to be asked for.
    await execute(ceremonyDecider, {
      stream,
      context: stepOf(context, 'ask', factorId),
      decide: askCode({ ceremonyId, userId, factorId, challengeId }),
    })
    if (before.status === 'open' && before.asked) await challenges.void(before.asked.challengeId, context)
    const leftMs = Date.parse(login.expiresAt) - Date.parse(context.occurredAt)
    const expiresAt = await challenges.issue(
      {
        challengeId,
        purpose: 'second-factor',
        account: { userId, epoch },
        channel: kind,
        to,
        locale,
        lifeSeconds: Math.floor(leftMs / 1000),
        by: ['code'],
      },
      context,
    )
    return { expiresAt, publicKey: null }
  }

  async function askPasskey({ factorId, login: { ceremonyId, expiresAt } }: FactorRequest) {
    const { state } = await execute.load(factorDecider, streamOf.factor(factorId))
    const known = state.status === 'created' && state.proof.kind === 'passkey' ? state.proof.credential : null
    if (!known) throw new Rejected('challenge-failed')
    return { expiresAt, publicKey: await passkeys.loginOptions(ceremonies.challengeOf(ceremonyId), [known]) }
  }

  return (request) => {
    const kind: FactorKind | undefined = request.account.factors.find(
      ({ factorId }) => factorId === request.factorId,
    )?.kind
    if (kind === 'sms' || kind === 'email') return send(kind, request)
    if (kind === 'passkey') return askPasskey(request)
    throw new Rejected('challenge-failed')
  }
}
