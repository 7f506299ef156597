import { canonicalPassword, streamOf, type Role, type SessionId, type UserId } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import { newId } from '@annals/platform/ids'
import { credentialDecider } from '../../accounts/domain/credential'
import { emailReservationDecider } from '../../accounts/domain/email-reservation'
import { begin, sessionDecider } from '../domain/session'
import { userDecider } from '../../accounts/domain/user'
import type { PasswordCheck } from '../../accounts/password-check'
import type { Rehash } from '../../accounts/rehash'
import type { Request } from '../../core/command-context'
import { unborn, type Execute } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import type { KeyWriter } from '../../core/key-writer'
import type { AccessTokens } from '../access-tokens'
import type { RefreshTokens } from '../refresh-tokens'
import type { AddressHash } from '../../accounts/commands/registration'

/** Address and password do not belong together; which of them is wrong is not said. */
export class InvalidCredentials extends Error {
  override readonly name = 'InvalidCredentials'
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
  checkPassword: PasswordCheck
  rehash: Pick<Rehash, 'after'>
  keys: Pick<KeyWriter, 'lookUp'>
  tenant: string
  addressHash: AddressHash
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  inFlight: InFlight
  now: () => string
  /** Life of a session in seconds: after it a password is asked for again. */
  sessionSeconds: number
}

/** No user and no credential has this id: reading its streams takes as long as reading somebody's. */
const nobody = '00000000-0000-4000-8000-000000000000'

/** @throws InvalidCredentials; TooManyRequests; Overloaded. */
export function createLogin(deps: LoginDeps) {
  const { execute, checkPassword, rehash, keys, tenant, addressHash, accessTokens, refreshTokens, inFlight } = deps
  const { now, sessionSeconds } = deps

  /**
   * The same reads whether the address is known or not, and whether its data key is at hand or not: time does not tell.
   */
  async function find(hash: string) {
    const reservation = await execute.load(emailReservationDecider, streamOf.emailReservation(hash))
    const userId = reservation.state.status === 'reserved' ? reservation.state.userId : nobody
    await keys.lookUp(tenant, userId)
    const user = await execute.load(userDecider, streamOf.user(userId))
    const isRegistered = user.state.status === 'registered'
    const credentialId = user.state.status === 'registered' ? user.state.credentialId : nobody
    const credential = await execute.load(credentialDecider, streamOf.credential(credentialId))
    const roles: readonly Role[] = user.state.status === 'registered' ? user.state.roles : []
    const passwordHash = isRegistered && credential.state.status === 'set' ? credential.state.passwordHash : null
    return { userId, roles, credentialId, passwordHash }
  }

  return async ({ correlationId }: Request, { email, password, ip, userAgent }: Login): Promise<Tokens> => {
    const hash = addressHash(email)
    const commandId = newId()
    return inFlight.run({ commandId, purpose: 'sessions', principal: networkOf(ip) }, async () => {
      const found = await checkPassword({
        purpose: 'login',
        addressHash: hash,
        client: ip,
        password,
        correlationId,
        find: () => find(hash),
      })
      if (!found) throw new InvalidCredentials()
      const { userId, roles, credentialId, passwordHash } = found
      const sessionId = newId()
      const occurredAt = now()
      const expiresAt = new Date(Date.parse(occurredAt) + sessionSeconds * 1000).toISOString()
      const { revision, position } = await execute(sessionDecider, {
        stream: streamOf.session(sessionId),
        context: { commandId, correlationId, causationId: commandId, actor: { type: 'user', id: userId }, occurredAt },
        decide: begin({ sessionId, userId, ip, userAgent, expiresAt }),
        known: unborn(sessionDecider),
      })
      if (passwordHash !== null)
        rehash.after({
          ...{ userId, credentialId, passwordHash, correlationId },
          ...{ password: canonicalPassword(password), client: ip, causationId: commandId },
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
    })
  }
}
