import { setTimeout as delay } from 'node:timers/promises'
import { streamOf } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import type { CountAttempt } from '../../core/attempts'
import type { Background } from '../../core/background'
import type { CommandContext, Request } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { TooManyRequests } from '../../core/faults'
import type { KeyWriter } from '../../core/key-writer'
import type { Challenges } from '../challenges'
import { emailReservationDecider } from '../domain/email-reservation'
import { personDecider } from '../domain/person'
import type { AddressHash } from './registration'

export interface ForgottenPasswordDeps {
  execute: Execute
  challenges: Challenges
  keys: Pick<KeyWriter, 'lookUp'>
  addressHash: AddressHash
  background: Background
  countAttempt: CountAttempt
  tenant: string
  now: () => string
}

/** How long a link for a new password can be followed. */
export const resetLifeSeconds = 30 * 60

/** Up to so long a link waits before anything is looked up: else the next request would be answered later where there is somebody. */
const waitMsMax = 500

/** No user has this id: reading its stream takes as long as reading somebody's. */
const nobody = '00000000-0000-4000-8000-000000000000'

/**
 * Sends a link for a new password to an address, if it is that of an account which is active. The answer is the same for all addresses, and
 * it is given before anything is looked up: neither it nor its time tells whether there is an account. A process that is killed
 * loses what it has not sent yet; whoever waits in vain asks again.
 * @throws Overloaded when too much waits, whatever the address is.
 */
export function createForgottenPassword(deps: ForgottenPasswordDeps) {
  const { execute, challenges, keys, addressHash, background, countAttempt, tenant, now } = deps

  async function send(email: string, correlationId: string): Promise<void> {
    await delay(Math.random() * waitMsMax)
    const hash = addressHash(email)
    try {
      await countAttempt('password-reset', 'account', `forgotten:${hash}`)
    } catch (error) {
      // In silence: a link lives for longer than the window that is used up, so there is one that is good.
      if (error instanceof TooManyRequests) return
      throw error
    }
    const reservation = await execute.load(emailReservationDecider, streamOf.emailReservation(hash))
    const userId = reservation.state.status === 'reserved' ? reservation.state.userId : nobody
    await keys.lookUp(tenant, userId)
    const { user, contact } = (await execute.load(personDecider, streamOf.user(userId))).state
    // An address that the account is about to take, or has given up, is not its address.
    if (user.status !== 'active' || contact.email === null || addressHash(contact.email) !== hash) return
    const commandId = newId()
    const context: CommandContext = {
      commandId,
      correlationId,
      causationId: commandId,
      // Somebody who knows the address.
      actor: { type: 'system', id: 'forgotten-password' },
      occurredAt: now(),
    }
    await challenges.issue(
      {
        challengeId: newId(),
        purpose: 'password-reset',
        account: { userId, epoch: user.epoch },
        latestOf: { userId, purpose: 'password-reset' },
        channel: 'email',
        to: contact.email,
        locale: contact.locale,
        lifeSeconds: resetLifeSeconds,
        by: ['token'],
      },
      context,
    )
  }

  return ({ correlationId }: Pick<Request, 'correlationId'>, email: string): void =>
    background.add(() => send(email, correlationId))
}
