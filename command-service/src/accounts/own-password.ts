import { streamOf, type Principal } from '@annals/contracts'
import type { Execute } from '../core/execute'
import { InvalidCredentials } from '../core/faults'
import type { AddressHash } from './commands/registration'
import { credentialDecider } from './domain/credential'
import { addressOf, personDecider } from './domain/person'
import { ownAccount, type Account } from './domain/user'
import type { PasswordCheck } from './password-check'

export interface OwnPassword {
  password: string
  /** Address of the client, canonical. */
  ip: string
  userAgent: string | null
  correlationId: string
}

/**
 * Whether somebody who is logged in knows the password of the account. It is counted like a login: an access token that was stolen is no
 * way to guess the password.
 * @returns the account whose password was compared.
 * @throws InvalidCredentials; TooManyRequests; Overloaded; Rejected as `ownAccount` has it.
 */
export type CheckOwnPassword = (principal: Principal, given: OwnPassword) => Promise<Account>

export interface OwnPasswordDeps {
  execute: Execute
  checkPassword: PasswordCheck
  addressHash: AddressHash
}

export const createCheckOwnPassword =
  ({ execute, checkPassword, addressHash }: OwnPasswordDeps): CheckOwnPassword =>
  async (principal, { password, ip, userAgent, correlationId }) => {
    const { state } = await execute.load(personDecider, streamOf.user(principal.userId))
    const account = ownAccount(state.user, principal)
    const found = await checkPassword({
      purpose: 'login',
      addressHash: addressHash(addressOf(state)),
      client: ip,
      device: userAgent,
      password,
      correlationId,
      async find() {
        if (account.credentialId === null) return { passwordHash: null }
        const credential = await execute.load(credentialDecider, streamOf.credential(account.credentialId))
        return { passwordHash: credential.state.status === 'set' ? credential.state.passwordHash : null }
      },
    })
    if (!found) throw new InvalidCredentials()
    return account
  }
