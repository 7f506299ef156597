import { randomUUID } from 'node:crypto'
import { streamOf, type CredentialId, type UserId } from '@annals/contracts'
import { createEventLog } from '@annals/platform/event-log'
import { masterKeysOf } from '@annals/platform/subject-keys'
import type { TestDatabase, TestScope } from '@annals/platform/testing'
import { createAddressHash } from '../../src/accounts/commands/registration'
import { credentialDecider, setPassword } from '../../src/accounts/domain/credential'
import { emailReservationDecider, reserve } from '../../src/accounts/domain/email-reservation'
import { register, userDecider } from '../../src/accounts/domain/user'
import { commandIdOf, createFingerprint, stepOf } from '../../src/core/command-context'
import { createExecute } from '../../src/core/execute'
import { createKeyWriter } from '../../src/core/key-writer'
import { derivedId } from '@annals/platform/ids'
import { silent } from './database'
import { newEmail, type Environment } from './service'

export interface FormerAccount {
  email: string
  userId: UserId
  credentialId: CredentialId
  /** Of the registration: `name` was Anna. */
  idempotencyKey: string
}

const route = 'POST /api/v1/auth/register'

/**
 * Writes accounts as a former release has left them, with whatever hash. A registration of today makes hashes of its own.
 * @returns a function from the hash to the account.
 */
export function formerAccounts(scope: TestScope, environment: Environment, { pool }: TestDatabase) {
  const keyOf = (name: string) => Buffer.from(environment[name]!, 'base64')
  const log = scope.add(createEventLog(environment['EVENTSTORE_URL']!, silent), (it) => it.close())
  const keys = createKeyWriter({
    pool,
    masters: masterKeysOf([keyOf('MASTER_KEY')]),
    secretMasters: masterKeysOf([keyOf('SECRETS_MASTER_KEY')]),
    log,
  })
  const observe = { append: () => undefined, conflict: () => undefined }
  const execute = createExecute({ log, keys, tenant: 'main', observe })
  const addressHash = createAddressHash(keyOf('RESERVATION_KEY'), 'main')
  const fingerprint = createFingerprint(keyOf('RESERVATION_KEY'))

  return async (passwordHash: string): Promise<FormerAccount> => {
    const [email, idempotencyKey] = [newEmail(), randomUUID()]
    const commandId = commandIdOf({ tenant: 'main', principal: addressHash(email), route, idempotencyKey })
    const [userId, credentialId] = [derivedId('user', commandId), derivedId(commandId, 'credential')]
    const context = {
      commandId,
      fingerprint: fingerprint({ route, email, name: 'Anna', locale: 'en' }),
      correlationId: 'former',
      causationId: commandId,
      actor: { type: 'user' as const, id: userId },
      occurredAt: new Date().toISOString(),
    }
    await execute(emailReservationDecider, {
      stream: streamOf.emailReservation(addressHash(email)),
      context: stepOf(context, 'reservation'),
      decide: reserve({ userId, at: context.occurredAt }),
    })
    await execute(credentialDecider, {
      stream: streamOf.credential(credentialId),
      context: stepOf(context, 'credential'),
      decide: setPassword({ userId, credentialId, passwordHash }),
    })
    await execute(userDecider, {
      stream: streamOf.user(userId),
      context,
      decide: register({ userId, email, name: 'Anna', locale: 'en', credentialId, emailProved: false }),
    })
    return { email, userId, credentialId, idempotencyKey }
  }
}
