import { streamOf, type Role, type SessionId, type UserId } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { credentialDecider } from '../../accounts/domain/credential'
import { emailReservationDecider } from '../../accounts/domain/email-reservation'
import { begin, sessionDecider } from '../domain/session'
import { userDecider } from '../../accounts/domain/user'
import type { Passwords } from '../../accounts/passwords'
import type { Request } from '../../core/command-context'
import { unborn, type Execute } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import type { LoginThrottle } from '../login-throttle'
import type { AccessTokens } from '../access-tokens'
import type { RefreshTokens } from '../refresh-tokens'
import type { AddressHash } from '../../accounts/commands/registration'

/** Address and password do not belong together; which of them is wrong is not said. */
export class InvalidCredentials extends Error {
  override readonly name = 'InvalidCredentials'
}

/** Too many attempts for this address or from this place. */
export class LoginThrottled extends Error {
  override readonly name = 'LoginThrottled'
  constructor(readonly retryAfterSeconds: number) {
    super('too many login attempts')
  }
}

export interface Login {
  /** Canonical. */
  email: string
  password: string
  ip: string
  userAgent: string | null
}

/** What a client holds after a login or a refresh. */
export interface Tokens {
  accessToken: string
  refreshToken: string
  /** Seconds. */
  expiresIn: number
  sessionId: SessionId
  userId: UserId
  /** Of the session's stream. */
  revision: number
  position: bigint
}

export interface LoginDeps {
  execute: Execute
  passwords: Passwords
  addressHash: AddressHash
  throttle: LoginThrottle
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  inFlight: InFlight
  now: () => string
  /** Life of a session in seconds: after it a password is asked for again. */
  sessionSeconds: number
}

/** No user and no credential has this id: reading its streams takes as long as reading somebody's. */
const nobody = '00000000-0000-4000-8000-000000000000'

/** @throws InvalidCredentials; LoginThrottled; Overloaded. */
export function createLogin(deps: LoginDeps) {
  const { execute, passwords, addressHash, throttle, accessTokens, refreshTokens, inFlight, now, sessionSeconds } = deps

  /** The same reads and the same comparison whether the address is known or not: time does not tell. */
  async function authenticate(hash: string, password: string): Promise<{ userId: UserId; roles: readonly Role[] }> {
    const reservation = await execute.load(emailReservationDecider, streamOf.emailReservation(hash))
    const userId = reservation.state.status === 'reserved' ? reservation.state.userId : nobody
    const user = await execute.load(userDecider, streamOf.user(userId))
    const credentialId = user.state.status === 'registered' ? user.state.credentialId : nobody
    const credential = await execute.load(credentialDecider, streamOf.credential(credentialId))
    const passwordHash = credential.state.status === 'set' ? credential.state.passwordHash : null
    const matches = await passwords.matches(password, passwordHash)
    if (!matches || user.state.status !== 'registered') throw new InvalidCredentials()
    return { userId, roles: user.state.roles }
  }

  return async ({ correlationId }: Request, { email, password, ip, userAgent }: Login): Promise<Tokens> => {
    const hash = addressHash(email)
    const waitSeconds = await throttle.attempt(hash, ip)
    if (waitSeconds !== undefined) throw new LoginThrottled(waitSeconds)
    const commandId = newId()
    let judged = false
    const work = async () => {
      const { userId, roles } = await authenticate(hash, password)
      judged = true
      await throttle.succeeded(hash, ip)
      const sessionId = newId()
      const occurredAt = now()
      const expiresAt = new Date(Date.parse(occurredAt) + sessionSeconds * 1000).toISOString()
      const { revision, position } = await execute(sessionDecider, {
        stream: streamOf.session(sessionId),
        context: { commandId, correlationId, causationId: commandId, actor: { type: 'user', id: userId }, occurredAt },
        decide: begin({ sessionId, userId, ip, userAgent, expiresAt }),
        known: unborn(sessionDecider),
      })
      return {
        accessToken: await accessTokens.issue({ userId, sessionId, roles }),
        refreshToken: refreshTokens.issue(sessionId, 1),
        expiresIn: accessTokens.lifeSeconds,
        sessionId,
        userId,
        revision,
        position,
      }
    }
    return inFlight.run(commandId, work).catch(async (error: unknown) => {
      // An outage must not lock out the people who keep trying through it.
      if (!judged && !(error instanceof InvalidCredentials)) await throttle.notJudged(hash, ip)
      throw error
    })
  }
}
