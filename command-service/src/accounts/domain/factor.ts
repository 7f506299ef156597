import type { FactorId, NewEvent, PasskeyCredential, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type FactorEventType = 'factor.created' | 'factor.used' | 'factor.guessed'

/** What proves a factor; `null`: its owner was erased. */
export type Proof =
  | { kind: 'totp'; secret: string | null }
  | { kind: 'recovery-codes'; hashes: readonly string[] | null }
  | { kind: 'passkey'; credential: PasskeyCredential | null }
  | { kind: 'sms' | 'email' }

export interface ExistingFactor {
  status: 'created'
  factorId: FactorId
  userId: UserId
  proof: Proof
  /** ISO 8601. */
  createdAt: string
  /** TOTP: the last step that was taken; a passkey: its signature counter. Never goes back. */
  mark: number | null
  /** Recovery codes that were taken, by their place. */
  spent: readonly number[]
  /** Wrong codes since the last right one. */
  failures: number
  /** ISO 8601: of the last wrong one. */
  failedAt: string | null
}

export type SecondFactor = { status: 'none' } | ExistingFactor

const initial: SecondFactor = { status: 'none' }

function proofOf({ kind, totpSecret, codeHashes, passkey }: Past<'factor.created'>['data']): Proof {
  switch (kind) {
    case 'totp':
      return { kind, secret: totpSecret }
    case 'recovery-codes':
      return { kind, hashes: codeHashes }
    case 'passkey':
      return { kind, credential: passkey }
    case 'sms':
    case 'email':
      return { kind }
  }
}

function evolve(factor: SecondFactor, event: Past<FactorEventType>): SecondFactor {
  if (event.type === 'factor.created') {
    const { factorId, userId } = event.data
    const unused = { mark: null, spent: [], failures: 0, failedAt: null }
    return { status: 'created', factorId, userId, proof: proofOf(event.data), createdAt: event.at, ...unused }
  }
  if (factor.status === 'none') return factor
  const { mark, spent } = event.data
  switch (event.type) {
    case 'factor.used':
      return { ...factor, mark, spent, failures: 0, failedAt: null }
    case 'factor.guessed':
      return { ...factor, mark, spent, failures: event.data.failures, failedAt: event.at }
  }
}

/** The first event says what proves it, the last how far its uses have come. */
export const factorDecider: Decider<SecondFactor, FactorEventType> = {
  category: 'factor',
  reads: 'first-and-last',
  readsPersonal: true,
  initial,
  evolve,
}

/**
 * Wrong codes that cost no more waiting than any other; then each ten of them double the wait, up to an hour. Whoever knows
 * the password and tries codes for a year hits one with 1 in 40, and a lock ends by itself. (NIST SP 800-63B-4 § 3.2.2
 * bears 100 in all, and then keeps the owner out.)
 */
const freeFailures = 20
const waitMsMax = 3_600_000
const waitMsFirst = 10_000

/** @returns how long no code is looked at, in ms from now on; 0: one is. */
export function waitMs({ failures, failedAt }: Pick<ExistingFactor, 'failures' | 'failedAt'>, at: string): number {
  if (failures < freeFailures || failedAt === null) return 0
  const doublings = Math.min(20, Math.floor((failures - freeFailures) / 10) + 1)
  const ms = Math.min(waitMsMax, waitMsFirst * 2 ** doublings)
  return Math.max(0, Date.parse(failedAt) + ms - Date.parse(at))
}

type Create = NewEvent<'factor.created'>['data']

/** A factor is made once: another secret is another factor. */
export const createFactor =
  (input: Create) =>
  (factor: SecondFactor): NewEvent<'factor.created'>[] =>
    factor.status === 'none' ? [{ type: 'factor.created', data: input }] : []

/** What somebody has shown for a factor, compared with what proves it. `undefined`: it is wrong. */
export type Match = { mark: number | null } | { place: number } | undefined

export interface TryFactor {
  userId: UserId
  /** Compares; pure. It is not asked about a factor of another kind than it knows. */
  match: (factor: ExistingFactor) => Match
  /** ISO 8601: now. */
  at: string
}

/**
 * What is shown is judged once: what is right is used up, what is wrong is counted. While the factor waits after many wrong
 * ones nothing is judged, and nothing recorded ({@link waitMs}). Of two who show the same code at once, one comes second,
 * and is wrong.
 * @throws Rejected `challenge-failed`: it is nobody's, or of somebody else.
 */
export const tryFactor =
  ({ userId, match, at }: TryFactor) =>
  (factor: SecondFactor): NewEvent<'factor.used' | 'factor.guessed'>[] => {
    if (factor.status === 'none' || factor.userId !== userId) throw new Rejected('challenge-failed')
    if (waitMs(factor, at) > 0) return []
    const { factorId, mark, spent } = factor
    const matched = match(factor)
    if (matched === undefined || isTaken(factor, matched)) {
      const failures = factor.failures + 1
      return [{ type: 'factor.guessed', data: { userId, factorId, mark, spent: [...spent], failures } }]
    }
    const uses =
      'place' in matched ? { mark, spent: [...spent, matched.place] } : { mark: matched.mark, spent: [...spent] }
    return [{ type: 'factor.used', data: { userId, factorId, ...uses } }]
  }

/** Counters of passkeys may stay at 0, where an authenticator has none: its challenges are what is never taken twice. */
function isTaken({ proof, mark, spent }: ExistingFactor, matched: NonNullable<Match>): boolean {
  if ('place' in matched) return spent.includes(matched.place)
  if (mark === null || matched.mark === null) return false
  return proof.kind === 'passkey' ? matched.mark <= mark && mark > 0 : matched.mark <= mark
}
