import { canonicalPassword, streamOf, type AuthenticationMethod } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import { newId } from '@annals/platform/ids'
import { credentialDecider } from '../../accounts/domain/credential'
import { emailReservationDecider } from '../../accounts/domain/email-reservation'
import { askedFactors } from '../../accounts/domain/factors'
import { userDecider } from '../../accounts/domain/user'
import type { PasswordCheck } from '../../accounts/password-check'
import type { Rehash } from '../../accounts/rehash'
import type { Request } from '../../core/command-context'
import type { Execute } from '../../core/execute'
import { InvalidCredentials } from '../../core/faults'
import type { InFlight } from '../../core/in-flight'
import type { KeyWriter } from '../../core/key-writer'
import type { FinishLogin, LoginOutcome } from '../finish-login'
import type { AddressHash } from '../../accounts/commands/registration'

export interface Login {
  /** Canonical. */
  email: string
  password: string
  ip: string
  userAgent: string | null
}

export interface LoginDeps {
  execute: Execute
  checkPassword: PasswordCheck
  rehash: Pick<Rehash, 'after'>
  keys: Pick<KeyWriter, 'lookUp'>
  tenant: string
  addressHash: AddressHash
  finishLogin: FinishLogin
  inFlight: InFlight
}

/** No user and no credential has this id: reading its streams takes as long as reading somebody's. */
const nobody = '00000000-0000-4000-8000-000000000000'

/** @throws InvalidCredentials; TooManyRequests; Overloaded. */
export function createLogin(deps: LoginDeps) {
  const { execute, checkPassword, rehash, keys, tenant, addressHash, finishLogin, inFlight } = deps

  /**
   * The same reads whether the address is known or not, and whether its data key is at hand or not: time does not tell.
   */
  async function find(hash: string) {
    const reservation = await execute.load(emailReservationDecider, streamOf.emailReservation(hash))
    const userId = reservation.state.status === 'reserved' ? reservation.state.userId : nobody
    await keys.lookUp(tenant, userId)
    const user = await execute.load(userDecider, streamOf.user(userId))
    // Nobody logs in to an account that is disabled, and is not told why: a stranger would learn that it exists.
    const account = user.state.status === 'active' ? user.state : undefined
    const credentialId = account?.credentialId ?? nobody
    const credential = await execute.load(credentialDecider, streamOf.credential(credentialId))
    const passwordHash = account && credential.state.status === 'set' ? credential.state.passwordHash : null
    const factors = account?.factors ?? []
    return { userId, roles: account?.roles ?? [], epoch: account?.epoch ?? 1, factors, credentialId, passwordHash }
  }

  return async ({ correlationId }: Request, { email, password, ip, userAgent }: Login): Promise<LoginOutcome> => {
    const hash = addressHash(email)
    const commandId = newId()
    return inFlight.run({ commandId, purpose: 'sessions', principal: networkOf(ip) }, async () => {
      const found = await checkPassword({
        purpose: 'login',
        addressHash: hash,
        client: ip,
        device: userAgent,
        password,
        correlationId,
        find: () => find(hash),
      })
      if (!found) throw new InvalidCredentials()
      const { userId, roles, epoch, factors, credentialId, passwordHash } = found
      const methods: AuthenticationMethod[] = ['password']
      const outcome = await finishLogin({
        userId,
        roles,
        epoch,
        factors: askedFactors({ factors }),
        methods,
        ip,
        userAgent,
        correlationId,
      })
      if (passwordHash !== null)
        rehash.after({
          ...{ userId, credentialId, passwordHash, correlationId },
          ...{
            password: canonicalPassword(password),
            client: ip,
            causationId: outcome.isHalfWay ? commandId : outcome.tokens.sessionId,
          },
        })
      return outcome
    })
  }
}
