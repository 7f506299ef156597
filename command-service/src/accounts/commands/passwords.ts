import { streamOf, type Principal } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import type { Request } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { InvalidCredentials } from '../../core/faults'
import { Rejected } from '../../core/rejected'
import type { AccountCommands } from '../account-command'
import type { Acquaintances } from '../acquaintances'
import type { Challenges } from '../challenges'
import { changePassword, resetPassword } from '../domain/password-change'
import { addressOf, personDecider } from '../domain/person'
import { activeAccount, ownAccount, userDecider } from '../domain/user'
import type { RecordPassword } from '../new-credential'
import type { CheckOwnPassword, OwnPassword } from '../own-password'
import type { AddressHash } from './registration'

export interface PasswordCommandDeps {
  execute: Execute
  commands: AccountCommands
  challenges: Challenges
  checkOwnPassword: CheckOwnPassword
  recordPassword: RecordPassword
  acquaintances: Pick<Acquaintances, 'remember'>
  addressHash: AddressHash
}

export interface ChangeOwnPassword extends Omit<OwnPassword, 'password' | 'correlationId'> {
  /** `undefined`: of an account that has none. Its owner has shown of late who they are. */
  currentPassword: string | undefined
  newPassword: string
}

export interface ResetForgottenPassword {
  token: string
  password: string
  /** Address of the client, canonical. */
  ip: string
  userAgent: string | null
}

export function createPasswordCommands(deps: PasswordCommandDeps) {
  const { execute, commands, challenges, checkOwnPassword, recordPassword, acquaintances, addressHash } = deps

  return {
    /**
     * All sessions end but the bearer's.
     * @throws InvalidCredentials; TooManyRequests; Overloaded; Rejected `password-too-short`, `password-too-common`, and as `changePassword` has it.
     */
    change(request: Request, principal: Principal, { currentPassword, newPassword, ip, userAgent }: ChangeOwnPassword) {
      const stream = streamOf.user(principal.userId)
      return commands.asOwner(request, principal, async (context) => {
        const { correlationId } = context
        if (currentPassword !== undefined)
          await checkOwnPassword(principal, { password: currentPassword, ip, userAgent, correlationId })
        const { state } = await execute.load(personDecider, stream)
        const { userId, credentialId: formerCredentialId } = ownAccount(state.user, principal)
        if (currentPassword === undefined && formerCredentialId !== null) throw new InvalidCredentials()
        const credentialId = await recordPassword({ userId, person: state, password: newPassword, ip }, context)
        const { revision, position } = await execute(userDecider, {
          stream,
          context,
          decide: changePassword({ credentialId, formerCredentialId, bearer: principal, at: context.occurredAt }),
        })
        return { stream, revision, position }
      })
    },

    /**
     * Whoever followed the link of a mail gets a new password, and no session: a second factor is asked for at the login, as ever. A link
     * brings one password. Until it has, it can be tried again.
     * @throws Rejected `challenge-failed`, `account-disabled`, `password-too-short`, `password-too-common`, `too-many-changes`; Overloaded.
     */
    reset(request: Request, { token, password, ip, userAgent }: ResetForgottenPassword): Promise<void> {
      return commands.byLink(request, ip, async (begun) => {
        const { userId, epoch, to } = await challenges.answer({ token }, 'password-reset', begun)
        if (userId === null || epoch === null) throw new Rejected('challenge-failed')
        const stream = streamOf.user(userId)
        const context = { ...begun, actor: { type: 'user', id: userId } as const }
        const { state } = await execute.load(personDecider, stream)
        if (activeAccount(state.user).epoch !== epoch) throw new Rejected('challenge-failed')
        const email = addressOf(state)
        // The owner has moved away from where the link went.
        if (email !== to) throw new Rejected('challenge-failed')
        const credentialId = await recordPassword({ userId, person: state, password, ip }, context)
        // A command of its own, with each attempt: two that come at once bring two passwords, and the epoch lets one of them through.
        await execute(userDecider, {
          stream,
          context,
          decide: resetPassword({ credentialId, epoch, at: context.occurredAt }),
        })
        // Strangers who guessed do not keep the owner out of what was just put right. Without Redis they may, for a quarter of an hour.
        const visitor = { addressHash: addressHash(email), network: networkOf(ip), device: userAgent ?? '' }
        await acquaintances.remember(visitor).catch(() => undefined)
      })
    },
  }
}
