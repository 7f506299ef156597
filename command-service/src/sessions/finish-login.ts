import type { Factor } from '../accounts/domain/user'
import type { Ceremonies } from '../accounts/factors/ceremonies'
import type { Authenticated, OpenSession, Tokens } from './open-session'

/** Somebody has shown one factor, and the account asks for another. */
export interface HalfWay {
  challengeToken: string
  factors: readonly Factor[]
  /** ISO 8601. */
  expiresAt: string
}

export type LoginOutcome = { isHalfWay: false; tokens: Tokens } | { isHalfWay: true; halfWay: HalfWay }

export interface FirstFactor extends Authenticated {
  /** Second factors that the account asks for; none: the session begins. */
  factors: readonly Factor[]
}

/** What comes after somebody has shown a first factor: a session, or the question for a second one. */
export type FinishLogin = (authenticated: FirstFactor) => Promise<LoginOutcome>

export interface FinishLoginDeps {
  openSession: OpenSession
  ceremonies: Pick<Ceremonies, 'begin'>
  now: () => string
}

export const createFinishLogin =
  ({ openSession, ceremonies, now }: FinishLoginDeps): FinishLogin =>
  async ({ factors, ...authenticated }) => {
    if (factors.length === 0) return { isHalfWay: false, tokens: await openSession(authenticated) }
    const { userId, epoch, methods } = authenticated
    const { token, expiresAt } = ceremonies.begin('second-factor', { userId, epoch, methods }, now())
    return { isHalfWay: true, halfWay: { challengeToken: token, factors, expiresAt } }
  }
