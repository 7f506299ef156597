import { streamOf, type ChallengeId, type RegistrationId, type UserId } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import { derivedId, newId } from '@annals/platform/ids'
import { commandIdOf, stepOf, type CommandContext, type Request } from '../../core/command-context'
import { unborn, type Known } from '../../core/execute'
import { IdempotencyKeyReused } from '../../core/faults'
import { inSteps } from '../../core/in-steps'
import type { KeyWriter } from '../../core/key-writer'
import { Rejected } from '../../core/rejected'
import type { Challenges, Given } from '../challenges'
import { credentialDecider, setPassword } from '../domain/credential'
import { emailReservationDecider, mayHold, reserve } from '../domain/email-reservation'
import { passwordRefusal } from '../domain/password-policy'
import {
  begin,
  complete,
  provedRegistration,
  registrationDecider,
  resend,
  supersede,
  type Pending,
  type Registration as Attempt,
} from '../domain/registration'
import { isRegistered, register, userDecider, type User } from '../domain/user'
import type { Registration, RegistrationDeps } from './registration'

export interface Begun {
  registrationId: RegistrationId
  /** ISO 8601: the attempt ends then, and the codes and links that belong to it. */
  expiresAt: string
}

/** An account whose address is proved. */
export interface Proved {
  account: Known<User>
  userId: UserId
  /** Its registration was completed by this very answer: whoever gave it is the person who registered. */
  isNew: boolean
}

/**
 * Registration in which the account begins when its address is proved. Until then an attempt holds nothing that another one could
 * want: no address, no user, a password of its own.
 */
export interface Attempts {
  /**
   * Records an attempt and sends a message to the address: one that asks to prove it or, where it has an account, one that says so.
   * Both are done in the same steps and the same time.
   * @throws Rejected `password-too-common`, `password-too-short`; IdempotencyKeyReused; TooManyRequests; Overloaded.
   */
  begin(request: Request, input: Registration): Promise<Begun>
  /** Sends another message, in the place of the former one. Says nothing of whether it did. */
  resend(request: Request, registrationId: RegistrationId, ip: string): Promise<void>
  /**
   * Takes the answer to a message, and completes what it is about. Cut off anywhere, it is completed by the same answer again.
   * @throws Rejected `challenge-failed`; `registration-superseded` when another attempt for the address was first.
   */
  prove(request: Request, answer: Answer, ip: string): Promise<Proved>
}

/** What a link carried, or the id of the attempt and the code that came. */
export type Answer = { token: string } | { registrationId: RegistrationId; code: string }

export interface AttemptDeps extends RegistrationDeps {
  challenges: Challenges
  keys: Pick<KeyWriter, 'makeKeyUntil' | 'endKey'>
}

const route = 'POST /api/v1/auth/register'
/** Time to find the mail; NIST SP 800-63B-4 § 3.1.3.2 gives a code in a mail as long. */
const lifeSeconds = 24 * 3_600
/** No user has this id: reading its stream takes as long as reading somebody's. */
const nobody = '00000000-0000-4000-8000-000000000000'

const challengeOf = (registrationId: RegistrationId, number: number): ChallengeId =>
  derivedId('registration-challenge', registrationId, number)

export function createAttempts(deps: AttemptDeps): Attempts {
  const {
    execute,
    passwords,
    checkPassword,
    commonPasswords,
    addressHash,
    fingerprint,
    inFlight,
    tenant,
    now,
    challenges,
    keys,
  } = deps

  const loaded = async (registrationId: RegistrationId) =>
    (await execute.load(registrationDecider, streamOf.registration(registrationId))).state

  /** The same reads whether there is an account or not. */
  async function isTaken(email: string): Promise<boolean> {
    const { state } = await execute.load(emailReservationDecider, streamOf.emailReservation(addressHash(email)))
    // Kept for its former holder it is taken as well.
    const userId = state.status === 'free' || mayHold(state, nobody, now()) ? nobody : state.userId
    return isRegistered((await execute.load(userDecider, streamOf.user(userId))).state)
  }

  /** @param number of the message, from 0. */
  const ask = async (
    registrationId: RegistrationId,
    number: number,
    { email, locale }: Pick<Pending, 'email' | 'locale'>,
    { isForAccount, seconds }: { isForAccount: boolean; seconds: number },
    context: CommandContext,
  ) =>
    challenges.issue(
      {
        challengeId: challengeOf(registrationId, number),
        purpose: isForAccount ? 'address-taken' : 'verify-email',
        account: null,
        about: registrationId,
        channel: 'email',
        to: email,
        locale,
        lifeSeconds: seconds,
        by: isForAccount ? [] : ['code', 'token'],
      },
      context,
    )

  /** A repeat under one key has the same password, or it is another request. */
  async function assertSamePassword(attempt: Attempt, { email, password, ip }: Registration, context: CommandContext) {
    const found = await checkPassword({
      purpose: 'registration',
      addressHash: addressHash(email),
      client: ip,
      device: null,
      password,
      correlationId: context.correlationId,
      find: async () => ({
        passwordHash: attempt.status === 'pending' ? (attempt.pending?.passwordHash ?? null) : null,
      }),
    })
    if (!found) throw new IdempotencyKeyReused(context.commandId)
  }

  async function record(input: Registration, registrationId: RegistrationId, context: CommandContext): Promise<Begun> {
    const { email, password, name, locale, ip } = input
    const stream = streamOf.registration(registrationId)
    const isForAccount = await inSteps(isTaken(email))
    const passwordHash = await passwords.hash(password, { purpose: 'registration', client: networkOf(ip) })
    const expiresAt = new Date(Date.parse(context.occurredAt) + lifeSeconds * 1000).toISOString()
    await keys.makeKeyUntil(tenant, registrationId, expiresAt)
    const { state } = await execute(registrationDecider, {
      stream,
      context,
      decide: begin({ registrationId, email, name, locale, passwordHash, expiresAt }),
      known: unborn(registrationDecider),
    })
    const begun = state.status === 'none' ? expiresAt : state.expiresAt
    await ask(registrationId, 0, input, { isForAccount, seconds: lifeSeconds }, context)
    return { registrationId, expiresAt: begun }
  }

  async function run(input: Registration, registrationId: RegistrationId, context: CommandContext): Promise<Begun> {
    const { email, password, name, ip } = input
    if (context.fingerprint !== undefined) {
      const present = await execute(registrationDecider, {
        stream: streamOf.registration(registrationId),
        context,
        decide: () => [],
      })
      if (present.repeated && present.state.status !== 'none') {
        await assertSamePassword(present.latest.state, input, context)
        const isForAccount = await inSteps(isTaken(email))
        // Where the first run was cut off, its message was not asked for yet; where it was, nothing happens.
        await ask(registrationId, 0, input, { isForAccount, seconds: lifeSeconds }, context)
        return { registrationId, expiresAt: present.state.expiresAt }
      }
    }
    const refusal = passwordRefusal({ password, email, name, hasSecondFactor: false }, commonPasswords)
    if (refusal !== undefined) throw new Rejected(refusal)
    passwords.admit({ purpose: 'registration', client: networkOf(ip) })
    return record(input, registrationId, context)
  }

  /** Whose the address is from now on: this attempt's, or one's that was proved before and did not get further. */
  async function reserved(email: string, own: UserId, context: CommandContext): Promise<UserId> {
    const { latest } = await execute(emailReservationDecider, {
      stream: streamOf.emailReservation(addressHash(email)),
      context: stepOf(context, 'reservation'),
      decide: reserve({ userId: own, at: context.occurredAt }),
    })
    return latest.state.status === 'free' ? own : latest.state.userId
  }

  /** Every id follows from the attempt: whoever comes again finds what is there already. */
  async function createAccount(registrationId: RegistrationId, pending: Pending, context: CommandContext) {
    const { email, name, locale, passwordHash } = pending
    const steps = { ...context, commandId: derivedId('registration', registrationId) }
    const userId = await reserved(email, derivedId('registration-user', registrationId), steps)
    const credentialId = derivedId('registration-credential', registrationId)
    const stream = streamOf.user(userId)
    const known = await execute.load(userDecider, stream)
    const isOwn = isRegistered(known.state) && known.state.credentialId === credentialId
    if (known.state.status !== 'none' && !isOwn) throw new Rejected('email-taken')
    if (!isOwn)
      await execute(credentialDecider, {
        stream: streamOf.credential(credentialId),
        context: stepOf(steps, 'credential'),
        decide: setPassword({ userId, credentialId, passwordHash }),
      })
    const { latest } = await execute(userDecider, {
      stream,
      context: stepOf({ ...steps, actor: { type: 'user', id: userId } }, 'user'),
      decide: register({ userId, email, name, locale, credentialId, emailProved: true }),
      known,
    })
    return { userId, account: latest }
  }

  async function completed(registrationId: RegistrationId, context: CommandContext): Promise<Proved> {
    const stream = streamOf.registration(registrationId)
    const proved = provedRegistration(await loaded(registrationId), context.occurredAt)
    if (proved.status === 'completed') {
      const { userId } = proved
      return { userId, account: await execute.load(userDecider, streamOf.user(userId)), isNew: false }
    }
    try {
      const { userId, account } = await createAccount(registrationId, proved.pending, context)
      const { appended } = await execute(registrationDecider, {
        stream,
        context: stepOf(context, 'completed'),
        decide: complete({ registrationId, userId }),
      })
      await keys.endKey(tenant, registrationId)
      return { userId, account, isNew: appended }
    } catch (error) {
      if (!(error instanceof Rejected) || error.code !== 'email-taken') throw error
      await execute(registrationDecider, {
        stream,
        context: stepOf(context, 'superseded'),
        decide: supersede({ registrationId }),
      })
      await keys.endKey(tenant, registrationId)
      throw new Rejected('registration-superseded')
    }
  }

  async function givenOf(answer: Answer): Promise<Given> {
    if ('token' in answer) return answer
    const { registrationId, code } = answer
    const attempt = await loaded(registrationId)
    return { challengeId: challengeOf(registrationId, attempt.status === 'pending' ? attempt.resent : 0), code }
  }

  const contextOf = ({ correlationId }: Request, commandId: string, id: string): CommandContext => ({
    commandId,
    correlationId,
    causationId: commandId,
    actor: { type: 'user', id },
    occurredAt: now(),
  })
  const admitted = <T>(commandId: string, ip: string, work: () => Promise<T>) =>
    inFlight.run({ commandId, purpose: 'accounts', principal: networkOf(ip) }, work)

  return {
    begin(request, input) {
      const { email, name, locale, ip } = input
      const { idempotencyKey } = request
      // Nobody is logged in: the address is who may repeat, so that keys of strangers never meet.
      const commandId = commandIdOf({ tenant, principal: addressHash(email), route, idempotencyKey })
      const registrationId = idempotencyKey === undefined ? newId() : derivedId('registration', commandId)
      const context = {
        ...contextOf(request, commandId, registrationId),
        ...(idempotencyKey === undefined ? {} : { fingerprint: fingerprint({ route, email, name, locale }) }),
      }
      return admitted(commandId, ip, () => run(input, registrationId, context))
    },

    resend(request, registrationId, ip) {
      const context = contextOf(request, newId(), registrationId)
      return admitted(context.commandId, ip, async () => {
        const { appended, state } = await execute(registrationDecider, {
          stream: streamOf.registration(registrationId),
          context,
          decide: resend({ registrationId, at: context.occurredAt }),
        })
        if (!appended || state.status !== 'pending' || !state.pending) return
        const { pending, resent, expiresAt } = state
        const isForAccount = await inSteps(isTaken(pending.email))
        await challenges.void(challengeOf(registrationId, resent - 1), context)
        const seconds = Math.ceil((Date.parse(expiresAt) - Date.parse(context.occurredAt)) / 1000)
        await ask(registrationId, resent, pending, { isForAccount, seconds }, context)
      })
    },

    prove(request, answer, ip) {
      const context = contextOf(request, newId(), 'registrationId' in answer ? answer.registrationId : 'link')
      return admitted(context.commandId, ip, async () => {
        const { about } = await challenges.answer(await givenOf(answer), 'verify-email', context)
        if (about === null) throw new Rejected('challenge-failed')
        return completed(about, context)
      })
    },
  }
}
