import { streamOf, type CeremonyId, type FactorId, type PasskeyAssertion, type UserId } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import { newId } from '@annals/platform/ids'
import { ceremonyDecider, complete } from '../../accounts/domain/ceremony'
import { passkeyDecider } from '../../accounts/domain/passkey'
import { userDecider, type Account } from '../../accounts/domain/user'
import type { Ceremonies, ClaimsOf } from '../../accounts/factors/ceremonies'
import type { FactorCheck, Shown } from '../../accounts/factors/factor-check'
import type { AskedFactor, RequestFactor } from '../../accounts/factors/factor-request'
import { passkeyHash, type Passkeys } from '../../accounts/factors/passkeys'
import { stepOf, type CommandContext, type Request } from '../../core/command-context'
import type { Execute, Known } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import { Rejected } from '../../core/rejected'
import type { Ceremony } from '../../accounts/domain/ceremony'
import type { OpenSession, Tokens } from '../open-session'

/** Where a login comes from. */
export interface Client {
  ip: string
  userAgent: string | null
}

export interface SecondFactorDeps {
  execute: Execute
  ceremonies: Ceremonies
  checkFactor: FactorCheck['check']
  requestFactor: RequestFactor
  passkeyOptions: Passkeys['loginOptions']
  openSession: OpenSession
  inFlight: InFlight
  tenant: string
  now: () => string
}

const failed = () => new Rejected('challenge-failed')

/** Logins that end with a factor: the second one after a password, or a passkey alone. */
export function createSecondFactor(deps: SecondFactorDeps) {
  const { execute, ceremonies, checkFactor, requestFactor, passkeyOptions, openSession, inFlight, tenant, now } = deps

  const contextOf = ({ correlationId }: Request, userId: UserId): CommandContext => {
    const commandId = newId()
    return { commandId, correlationId, causationId: commandId, actor: { type: 'user', id: userId }, occurredAt: now() }
  }

  async function accountOf(userId: UserId): Promise<Account> {
    const { state } = await execute.load(userDecider, streamOf.user(userId))
    if (state.status !== 'active') throw failed()
    return state
  }

  /** The account as it was when its password was checked: what has changed its epoch since has ended this login too. */
  async function accountIn({ userId, epoch }: ClaimsOf<'second-factor'>): Promise<Account> {
    const account = await accountOf(userId)
    if (account.epoch !== epoch) throw failed()
    return account
  }

  async function openCeremony(ceremonyId: CeremonyId) {
    const ceremony = await execute.load(ceremonyDecider, streamOf.ceremony(ceremonyId))
    if (ceremony.state.status === 'completed') throw failed()
    return { ceremony, asked: ceremony.state.asked }
  }

  /** Of several who show the right thing at once, one gets a session. */
  async function completeOnce(
    ceremonyId: CeremonyId,
    userId: UserId,
    known: Known<Ceremony>,
    context: CommandContext,
  ): Promise<void> {
    await execute(ceremonyDecider, {
      stream: streamOf.ceremony(ceremonyId),
      context: stepOf(context, 'complete', ceremonyId),
      decide: complete({ ceremonyId, userId }),
      known,
    })
  }

  return {
    /** @throws Rejected `challenge-failed`, whatever is wrong; TooManyRequests. */
    answer(
      request: Request,
      {
        challengeToken,
        factorId,
        shown,
        ...client
      }: { challengeToken: string; factorId: FactorId; shown: Shown } & Client,
    ): Promise<Tokens> {
      const login = ceremonies.open('second-factor', challengeToken, now())
      const { ceremonyId, userId, epoch } = login
      const context = contextOf(request, userId)
      return inFlight.run({ commandId: context.commandId, purpose: 'sessions', principal: userId }, async () => {
        const account = await accountIn(login)
        const { ceremony, asked } = await openCeremony(ceremonyId)
        const method = await checkFactor({ account, factorId, shown, ceremony: { ceremonyId, asked }, context })
        await completeOnce(ceremonyId, userId, ceremony, context)
        const methods = [...login.methods, method]
        const { correlationId } = request
        return openSession({ userId, roles: account.roles, epoch, methods, ...client, correlationId })
      })
    },

    /** Asks for what a factor needs. @throws as {@link RequestFactor} does. */
    ask(
      request: Request,
      { challengeToken, factorId }: { challengeToken: string; factorId: FactorId },
    ): Promise<AskedFactor> {
      const login = ceremonies.open('second-factor', challengeToken, now())
      const context = contextOf(request, login.userId)
      const admission = { commandId: context.commandId, purpose: 'sessions', principal: login.userId } as const
      return inFlight.run(admission, async () =>
        requestFactor({ account: await accountIn(login), factorId, login, context }),
      )
    },

    /** What an authenticator is asked by somebody who is nobody yet: nothing is read or written. */
    async beginPasskeyLogin() {
      const { token, ceremonyId, expiresAt } = ceremonies.begin('passkey-login', {}, now())
      const publicKey = await passkeyOptions(ceremonies.challengeOf(ceremonyId), [])
      return { ceremonyToken: token, expiresAt, publicKey }
    },

    /** @throws Rejected `challenge-failed`, whatever is wrong; TooManyRequests. */
    passkeyLogin(
      request: Request,
      { ceremonyToken, credential, ...client }: { ceremonyToken: string; credential: PasskeyAssertion } & Client,
    ): Promise<Tokens> {
      const { ceremonyId } = ceremonies.open('passkey-login', ceremonyToken, now())
      const { correlationId } = request
      const admission = { commandId: newId(), purpose: 'sessions', principal: networkOf(client.ip) } as const
      return inFlight.run(admission, async () => {
        const passkey = await execute.load(passkeyDecider, streamOf.passkey(passkeyHash(tenant, credential.id)))
        if (passkey.state.status === 'free') throw failed()
        const { userId, factorId } = passkey.state
        const account = await accountOf(userId)
        const context = contextOf(request, userId)
        const { ceremony } = await openCeremony(ceremonyId)
        const shown = { credential }
        await checkFactor({ account, factorId, shown, ceremony: { ceremonyId, asked: null }, context })
        await completeOnce(ceremonyId, userId, ceremony, context)
        const { roles, epoch } = account
        return openSession({ userId, roles, epoch, methods: ['passkey'], ...client, correlationId })
      })
    },
  }
}
