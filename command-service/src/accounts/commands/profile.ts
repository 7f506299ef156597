import { streamOf, type ChallengeId, type Principal } from '@annals/contracts'
import { derivedId, newId } from '@annals/platform/ids'
import type { CountAttempt } from '../../core/attempts'
import type { Request } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { Rejected } from '../../core/rejected'
import { onceFor, type AccountCommands } from '../account-command'
import type { Challenges } from '../challenges'
import { personDecider } from '../domain/person'
import { changeConsents, changePhone, changeProfile, type ChangeConsents, type ChangeProfile } from '../domain/profile'
import { ownAccount, userDecider, type Account } from '../domain/user'
import type { AddressHash } from './registration'

export interface ProfileCommandDeps {
  execute: Execute
  commands: AccountCommands
  challenges: Challenges
  addressHash: AddressHash
  countAttempt: CountAttempt
}

/** How long a code can be typed that came to a phone. */
const codeLifeSeconds = 10 * 60

/** What people tell of themselves. All of it throws Rejected as `ownAccount` does, and `too-many-changes`. */
export function createProfileCommands({
  execute,
  commands,
  challenges,
  addressHash,
  countAttempt,
}: ProfileCommandDeps) {
  return {
    change(request: Request, principal: Principal, changes: Omit<ChangeProfile, 'bearer' | 'at'>) {
      return commands.asOwner(request, principal, async (context) => {
        const stream = streamOf.user(principal.userId)
        const { revision, position } = await execute(personDecider, {
          stream,
          context,
          decide: changeProfile({ ...changes, bearer: principal, at: context.occurredAt }),
        })
        return { stream, revision, position }
      })
    },

    /** Sends a code to a number. A number may be that of several accounts: families share one. @throws TooManyRequests beside. */
    askPhone(
      request: Request,
      principal: Principal,
      phone: string,
    ): Promise<{ challengeId: ChallengeId; expiresAt: string }> {
      return commands.asOwner(request, principal, async (context) => {
        const { userId } = principal
        const { user, contact } = (await execute.load(personDecider, streamOf.user(userId))).state
        const { epoch } = ownAccount(user, principal)
        // Nobody is flooded through us, and nobody floods.
        for (const who of [`user:${userId}`, `phone:${addressHash(phone)}`])
          await countAttempt('password-reset', 'account', who)
        const challengeId = newId()
        const expiresAt = await challenges.issue(
          {
            challengeId,
            purpose: 'change-phone',
            account: { userId, epoch },
            latestOf: { userId, purpose: 'change-phone' },
            channel: 'sms',
            to: phone,
            locale: contact.locale,
            lifeSeconds: codeLifeSeconds,
            by: ['code'],
          },
          context,
        )
        return { challengeId, expiresAt }
      })
    },

    /** @throws Rejected `challenge-failed` beside. */
    confirmPhone(request: Request, principal: Principal, given: { challengeId: ChallengeId; code: string }) {
      return commands.asOwner(request, principal, async (context) => {
        const { challengeId, userId, epoch, to: phone } = await challenges.answer(given, 'change-phone', context)
        if (userId !== principal.userId) throw new Rejected('challenge-failed')
        const stream = streamOf.user(userId)
        const { revision, position } = await execute(personDecider, {
          stream,
          context: onceFor(context, derivedId('change-phone', challengeId)),
          decide(person) {
            if (ownAccount(person.user, principal).epoch !== epoch) throw new Rejected('challenge-failed')
            return changePhone({ phone, bearer: principal, at: context.occurredAt })(person)
          },
        })
        return { stream, revision, position }
      })
    },

    removePhone(request: Request, principal: Principal): Promise<void> {
      return commands.asOwner(request, principal, async (context) => {
        await execute(personDecider, {
          stream: streamOf.user(principal.userId),
          context,
          decide: changePhone({ phone: null, bearer: principal, at: context.occurredAt }),
        })
      })
    },

    /** @returns what is agreed to, and since when (ISO 8601). */
    consents(request: Request, principal: Principal): Promise<Account['consents']> {
      return commands.asOwner(request, principal, async () => {
        const { state } = await execute.load(userDecider, streamOf.user(principal.userId))
        return ownAccount(state, principal).consents
      })
    },

    changeConsents(request: Request, principal: Principal, consents: ChangeConsents['consents']) {
      return commands.asOwner(request, principal, async (context) => {
        const { state } = await execute(userDecider, {
          stream: streamOf.user(principal.userId),
          context,
          decide: changeConsents({ consents, bearer: principal, at: context.occurredAt }),
        })
        return ownAccount(state, principal).consents
      })
    },
  }
}
