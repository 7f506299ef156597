import { networkOf } from '@annals/platform/client-address'
import { TooManyRequests } from '../core/faults'
import { inSteps } from '../core/in-steps'
import type { GuessThrottle } from './guess-throttle'
import type { PasswordPurpose } from './hash-queue'
import type { PasswordComparison } from './passwords'

/** `not-judged`: for a reason of ours the password was not looked at. */
export type PasswordVerdict = 'right' | 'wrong' | 'throttled' | 'not-judged'

/**
 * What is told of a check. Nothing in it names a person: the address is a keyed hash, of the client nothing is told.
 */
export interface CheckedPassword {
  purpose: PasswordPurpose
  verdict: PasswordVerdict
  addressHash: string
  correlationId: string
}

export interface PasswordAttempt<Found> {
  purpose: PasswordPurpose
  /** Keyed hash of the address whose password is claimed to be known. */
  addressHash: string
  /** Address of the client, canonical. */
  client: string
  /** What the client says of its program; `null`: nothing. */
  device: string | null
  password: string
  correlationId: string
  /** Finds the hash, with the same reads whether there is one or not. Not asked when the attempt is one too many. */
  find: () => Promise<Found>
}

/**
 * The one place where a password is compared. Each attempt is counted first. A comparison is always made and takes
 * the same time, even where there is nothing to compare with. The verdict is reported to the observer.
 * @returns what was found, when the password is that of its hash; `undefined` when it is not.
 * @throws TooManyRequests; Overloaded; what `find` throws.
 */
export type PasswordCheck = <Found extends { passwordHash: string | null }>(
  attempt: PasswordAttempt<Found>,
) => Promise<Found | undefined>

export interface PasswordCheckDeps {
  throttle: GuessThrottle
  passwords: PasswordComparison
  /** Told of every verdict, once. */
  onVerdict: (checked: CheckedPassword) => void
}

export const createPasswordCheck =
  ({ throttle, passwords, onVerdict }: PasswordCheckDeps): PasswordCheck =>
  async ({ purpose, addressHash, client, device, password, correlationId, find }) => {
    const tell = (verdict: PasswordVerdict) => onVerdict({ purpose, verdict, addressHash, correlationId })
    const guess = await throttle.attempt({ addressHash, client, device })
    if (!guess.isAllowed) {
      tell('throttled')
      throw new TooManyRequests(guess.retryAfterSeconds)
    }
    let isJudged = false
    try {
      const found = await inSteps(find())
      const place = { purpose, client: networkOf(client) }
      const isRight = await passwords.matches(password, found.passwordHash, place, () => {
        isJudged = true
      })
      tell(isRight ? 'right' : 'wrong')
      if (!isRight) {
        await guess.failed()
        return undefined
      }
      await guess.succeeded()
      return found
    } catch (error) {
      // An outage must not lock out the people who keep trying through it.
      if (!isJudged) {
        tell('not-judged')
        await guess.notJudged()
      }
      throw error
    }
  }
