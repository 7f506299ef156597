import { streamOf, type CredentialId, type UserId } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import { newId } from '@annals/platform/ids'
import { stepOf, type CommandContext } from '../core/command-context'
import { unborn, type Execute } from '../core/execute'
import { Rejected } from '../core/rejected'
import { credentialDecider, setPassword } from './domain/credential'
import type { Vocabulary } from './domain/guessing'
import { passwordRefusal } from './domain/password-policy'
import { addressOf, hasSecondFactor, type Person } from './domain/person'
import type { PasswordHasher } from './passwords'

export interface NewPassword {
  userId: UserId
  person: Person
  password: string
  /** Address of the client, canonical. */
  ip: string
}

/**
 * Records a password of an account, in a credential of its own. It counts from the event on with which the account takes it up; one that no
 * account takes up is nobody's.
 * @throws Rejected `password-too-short`, `password-too-common`; Overloaded.
 */
export type RecordPassword = (given: NewPassword, context: CommandContext) => Promise<CredentialId>

export interface RecordPasswordDeps {
  execute: Execute
  passwords: PasswordHasher
  commonPasswords: Vocabulary
}

export const createRecordPassword =
  ({ execute, passwords, commonPasswords }: RecordPasswordDeps): RecordPassword =>
  async ({ userId, person, password, ip }, context) => {
    const { user, contact } = person
    const wanted = {
      password,
      email: addressOf(person),
      name: contact.name ?? '',
      hasSecondFactor: hasSecondFactor(user),
    }
    const refusal = passwordRefusal(wanted, commonPasswords)
    if (refusal !== undefined) throw new Rejected(refusal)
    const passwordHash = await passwords.hash(password, { purpose: 'registration', client: networkOf(ip) })
    const credentialId = newId()
    await execute(credentialDecider, {
      stream: streamOf.credential(credentialId),
      context: stepOf(context, 'credential', credentialId),
      decide: setPassword({ userId, credentialId, passwordHash }),
      known: unborn(credentialDecider),
    })
    return credentialId
  }
