import { createHash, createHmac } from 'node:crypto'
import { streamOf, type CredentialId, type UserId } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import { derivedId, newId } from '@annals/platform/ids'
import { credentialDecider, setPassword } from '../domain/credential'
import { emailReservationDecider, reserve } from '../domain/email-reservation'
import type { Vocabulary } from '../domain/guessing'
import { passwordRefusal } from '../domain/password-policy'
import { Rejected } from '../../core/rejected'
import { isRegistered, register, userDecider } from '../domain/user'
import type { PasswordCheck } from '../password-check'
import type { PasswordHasher } from '../passwords'
import { commandIdOf, stepOf, type CommandContext, type Fingerprint, type Request } from '../../core/command-context'
import { unborn, type Execute } from '../../core/execute'
import { IdempotencyKeyReused } from '../../core/faults'
import type { InFlight } from '../../core/in-flight'

/** Names the reservation stream of an address: HMAC-SHA-256, hex, of tenant and canonical address. */
export type AddressHash = (email: string) => string

export const createAddressHash =
  (key: Buffer, tenant: string): AddressHash =>
  (email) =>
    createHmac('sha256', key).update(`${tenant}|${email}`).digest('hex')

export interface Registration {
  /** Canonical: trimmed, lower case. */
  email: string
  password: string
  name: string
  locale: string
  /** Address of the client, canonical. */
  ip: string
}

/** A fact and where it stands. */
export interface Registered {
  userId: UserId
  stream: string
  revision: number
  position: bigint
}

export interface RegistrationDeps {
  execute: Execute
  passwords: PasswordHasher
  checkPassword: PasswordCheck
  commonPasswords: Vocabulary
  addressHash: AddressHash
  fingerprint: Fingerprint
  inFlight: InFlight
  tenant: string
  now: () => string
}

const route = 'POST /api/v1/auth/register'

/**
 * Registers a person over three streams: the reservation of the address, the credential, the user. The user's first
 * event is the commit point: whoever appends it has won; everything before it can be left behind by a crash and is
 * taken up again. A repeat is answered only to whoever knows the password, and so it counts as a guess like a login
 * does.
 * @throws Rejected `email-taken`, `password-too-common`, `password-too-short`; IdempotencyKeyReused; TooManyRequests; Overloaded.
 */
export function createRegistration(deps: RegistrationDeps) {
  const { execute, passwords, checkPassword, commonPasswords, addressHash, fingerprint, inFlight, tenant, now } = deps

  /**
   * The fingerprint does not cover the password, since it stays in the log: the credential tells.
   * @param credentialId `undefined`: the repeat differs in something else. It is refused after as much work, and
   *   counted alike, or whoever knows the key could try names.
   */
  async function assertSamePassword(
    credentialId: CredentialId | undefined,
    { email, password, ip }: Registration,
    { correlationId, commandId }: CommandContext,
  ): Promise<void> {
    const found = await checkPassword({
      purpose: 'registration',
      addressHash: addressHash(email),
      client: ip,
      // A repeat is sent by programs more often than by people.
      device: null,
      password,
      correlationId,
      async find() {
        if (credentialId === undefined) return { passwordHash: null }
        const { state } = await execute.load(credentialDecider, streamOf.credential(credentialId))
        return { passwordHash: state.status === 'set' ? state.passwordHash : null }
      },
    })
    if (!found) throw new IdempotencyKeyReused(commandId)
  }

  /** @returns the user for whom the address is held: this one, or one whose registration did not get further. */
  async function holderOf(email: string, userId: UserId, context: CommandContext) {
    const { latest } = await execute(emailReservationDecider, {
      stream: streamOf.emailReservation(addressHash(email)),
      // A command of its own, the same whatever else the body says: it only finds out who holds the address.
      context: stepOf(context, 'reservation'),
      decide: reserve({ userId, at: context.occurredAt }),
    })
    return latest.state.status === 'free' ? userId : latest.state.userId
  }

  /** Whether this very command has done its work: a repeat is answered the same, whatever passwords have to be by now. */
  async function hasRegistered(email: string, credentialId: CredentialId): Promise<boolean> {
    const reservation = await execute.load(emailReservationDecider, streamOf.emailReservation(addressHash(email)))
    if (reservation.state.status !== 'reserved') return false
    const { state } = await execute.load(userDecider, streamOf.user(reservation.state.userId))
    return isRegistered(state) && state.credentialId === credentialId
  }

  async function run(input: Registration, context: CommandContext, ownUserId: UserId): Promise<Registered> {
    const { email, password, name, locale, ip } = input
    const credentialId = derivedId(context.commandId, 'credential')
    const refusal = passwordRefusal({ password, email, name, hasSecondFactor: false }, commonPasswords)
    if (refusal !== undefined && !(await hasRegistered(email, credentialId))) throw new Rejected(refusal)
    passwords.admit({ purpose: 'registration', client: networkOf(ip) })
    const userId = await holderOf(email, ownUserId, context)
    const stream = streamOf.user(userId)
    const present = await execute(userDecider, { stream, context, decide: () => [] }).catch(async (error: unknown) => {
      if (error instanceof IdempotencyKeyReused) await assertSamePassword(undefined, input, context)
      throw error
    })
    if (present.state.status !== 'none') {
      if (!present.repeated || !isRegistered(present.state)) throw new Rejected('email-taken')
      await assertSamePassword(present.state.credentialId ?? undefined, input, context)
      return { userId, stream, revision: present.revision, position: present.position }
    }
    await setCredential(userId, credentialId, input, context)
    const { revision, position } = await execute(userDecider, {
      stream,
      context,
      decide: register({ userId, email, name, locale, credentialId, emailProved: false }),
      known: present.latest,
    })
    return { userId, stream, revision, position }
  }

  async function setCredential(
    userId: UserId,
    credentialId: CredentialId,
    input: Registration,
    context: CommandContext,
  ) {
    const place = { purpose: 'registration', client: networkOf(input.ip) } as const
    const passwordHash = await passwords.hash(input.password, place)
    const outcome = await execute(credentialDecider, {
      stream: streamOf.credential(credentialId),
      // Two hashes of one password differ: each is an event of its own, so that the log takes the first and refuses the
      // second.
      context: stepOf(context, 'credential', createHash('sha256').update(passwordHash).digest('hex')),
      decide: setPassword({ userId, credentialId, passwordHash }),
      known: unborn(credentialDecider),
    })
    if (!outcome.appended) await assertSamePassword(credentialId, input, context)
  }

  return async (request: Request, input: Registration): Promise<Registered> => {
    const { email, name, locale } = input
    const { idempotencyKey, correlationId } = request
    // Nobody is logged in: the address is who may repeat, so that keys of strangers never meet.
    const principal = addressHash(email)
    const commandId = commandIdOf({ tenant, principal, route, idempotencyKey })
    const userId = idempotencyKey === undefined ? newId() : derivedId('user', commandId)
    const context: CommandContext = {
      commandId,
      ...(idempotencyKey === undefined ? {} : { fingerprint: fingerprint({ route, email, name, locale }) }),
      correlationId,
      causationId: commandId,
      actor: { type: 'user', id: userId },
      occurredAt: now(),
    }
    const admission = { commandId, purpose: 'accounts', principal: networkOf(input.ip) } as const
    return inFlight.run(admission, () => run(input, context, userId))
  }
}
