import { streamOf, type ChallengeId, type Principal, type UserId } from '@annals/contracts'
import { derivedId, newId } from '@annals/platform/ids'
import type { CountAttempt } from '../../core/attempts'
import { stepOf, type CommandContext, type Request } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { Rejected } from '../../core/rejected'
import { onceFor, type AccountCommands } from '../account-command'
import type { Challenges, Given } from '../challenges'
import { changeEmail, leftBehind, undoEmailChange } from '../domain/email-change'
import { emailReservationDecider, mayHold, release, reserve } from '../domain/email-reservation'
import { personDecider, type Person } from '../domain/person'
import { existingAccount, ownAccount } from '../domain/user'
import { resetLifeSeconds } from './forgotten-password'
import type { AddressHash } from './registration'

export interface EmailCommandDeps {
  execute: Execute
  commands: AccountCommands
  challenges: Challenges
  addressHash: AddressHash
  countAttempt: CountAttempt
}

/** How long a new address can be proved. */
const changeLifeSeconds = 30 * 60

/**
 * An account changes its address over three streams: the reservation of the new address, the user, the reservation of the old one. The
 * event of the user is the commit point. What comes after it follows from the user's stream alone, so whatever was cut off is
 * completed by the next attempt, or by the next change.
 */
export function createEmailCommands({ execute, commands, challenges, addressHash, countAttempt }: EmailCommandDeps) {
  const personOf = async (userId: UserId): Promise<Person> =>
    (await execute.load(personDecider, streamOf.user(userId))).state

  async function take(email: string, userId: UserId, context: CommandContext): Promise<boolean> {
    const { latest } = await execute(emailReservationDecider, {
      stream: streamOf.emailReservation(addressHash(email)),
      context: stepOf(context, 'reserve'),
      decide: reserve({ userId, at: context.occurredAt }),
    })
    return latest.state.status === 'reserved' && latest.state.userId === userId
  }

  /** Tells the former address of its change, and how to undo it; then lets go of it. Asked again it does nothing. */
  async function finish(person: Person, context: CommandContext): Promise<void> {
    const left = leftBehind(person)
    if (!left) return
    const { userId, epoch } = existingAccount(person.user)
    const { email, changedAt, keptUntil } = left
    const lifeSeconds = keptUntil === null ? 0 : (Date.parse(keptUntil) - Date.parse(context.occurredAt)) / 1000
    if (lifeSeconds > 0)
      await challenges.issue(
        {
          challengeId: derivedId('undo-email', userId, changedAt),
          purpose: 'email-changed',
          account: { userId, epoch },
          channel: 'email',
          to: email,
          locale: person.contact.locale,
          lifeSeconds,
          by: ['token'],
        },
        context,
      )
    await execute(emailReservationDecider, {
      stream: streamOf.emailReservation(addressHash(email)),
      context: stepOf(context, 'release', changedAt),
      decide: release({ userId, keptUntil }),
    })
  }

  return {
    /**
     * Asks the new address to be proved. Whoever asks learns nothing of who has it: for one that is taken the same happens, but that the
     * mail says so to its holder, and can not be answered.
     * @throws TooManyRequests; Rejected as `ownAccount` has it.
     */
    ask(
      request: Request,
      principal: Principal,
      email: string,
    ): Promise<{ challengeId: ChallengeId; expiresAt: string }> {
      return commands.asOwner(request, principal, async (context) => {
        const { userId } = principal
        const person = await personOf(userId)
        const { epoch } = ownAccount(person.user, principal)
        // Counted alike whether the address is taken or not.
        // Nobody is flooded through us, and nobody floods.
        for (const who of [`user:${userId}`, `email:${addressHash(email)}`])
          await countAttempt('password-reset', 'account', who)
        const { state } = await execute.load(emailReservationDecider, streamOf.emailReservation(addressHash(email)))
        const isFree = mayHold(state, userId, context.occurredAt)
        const challengeId = newId()
        const expiresAt = await challenges.issue(
          {
            challengeId,
            purpose: isFree ? 'change-email' : 'address-taken',
            account: isFree ? { userId, epoch } : null,
            latestOf: { userId, purpose: 'change-email' },
            channel: 'email',
            to: email,
            locale: person.contact.locale,
            lifeSeconds: changeLifeSeconds,
            by: isFree ? ['code', 'token'] : [],
          },
          context,
        )
        return { challengeId, expiresAt }
      })
    },

    /**
     * The new address was proved, by whoever is logged in to the account.
     * @throws Rejected `challenge-failed`, `email-taken`, `too-many-changes`; as `ownAccount` has it.
     */
    confirm(request: Request, principal: Principal, given: Given) {
      return commands.asOwner(request, principal, async (context) => {
        const { challengeId, userId, epoch, to: email } = await challenges.answer(given, 'change-email', context)
        if (userId !== principal.userId || epoch === null) throw new Rejected('challenge-failed')
        const person = await personOf(userId)
        ownAccount(person.user, principal)
        const decide = changeEmail({ email, epoch, at: context.occurredAt })
        // Refused before the address is held.
        decide(person)
        await finish(person, context)
        if (!(await take(email, userId, context))) throw new Rejected('email-taken')
        const stream = streamOf.user(userId)
        const { latest, revision, position } = await execute(personDecider, {
          stream,
          context: onceFor(context, derivedId('change-email', challengeId)),
          decide,
        })
        await finish(latest.state, context)
        return { stream, revision, position }
      })
    },

    /**
     * Whoever reads mail at the former address puts it back. All sessions end, and a link for a new password goes to that address.
     * @param ip address of the client, canonical.
     * @returns whether such a link was sent: a disabled account gets none.
     * @throws Rejected `challenge-failed`, `user-not-found`.
     */
    undo(request: Request, token: string, ip: string): Promise<{ passwordResetSent: boolean }> {
      return commands.byLink(request, ip, async (begun) => {
        const { challengeId, userId, to: email } = await challenges.answer({ token }, 'email-changed', begun)
        if (userId === null) throw new Rejected('challenge-failed')
        const context = { ...begun, actor: { type: 'user', id: userId } as const }
        const person = await personOf(userId)
        const decide = undoEmailChange({ email })
        decide(person)
        await finish(person, context)
        if (!(await take(email, userId, context))) throw new Rejected('challenge-failed')
        const { latest } = await execute(personDecider, {
          stream: streamOf.user(userId),
          context: onceFor(context, derivedId('undo-email', challengeId)),
          decide,
        })
        const { user, contact } = latest.state
        if (contact.email !== email) throw new Rejected('challenge-failed')
        await finish(latest.state, context)
        if (user.status !== 'active') return { passwordResetSent: false }
        await challenges.issue(
          {
            challengeId: derivedId('reset-after-undo', challengeId),
            purpose: 'password-reset',
            account: { userId, epoch: user.epoch },
            latestOf: { userId, purpose: 'password-reset' },
            channel: 'email',
            to: email,
            locale: contact.locale,
            lifeSeconds: resetLifeSeconds,
            by: ['token'],
          },
          context,
        )
        return { passwordResetSent: true }
      })
    },
  }
}
