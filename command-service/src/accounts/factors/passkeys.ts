import { createHash } from 'node:crypto'
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server'
import type { PasskeyAssertion, PasskeyAttestation, PasskeyCredential, UserId } from '@annals/contracts'

export interface PasskeySettings {
  /** The domain that passkeys are bound to, for ever: with another one all are useless. */
  rpId: string
  /** The pages that may ask for them, such as `https://app.example.org`. */
  origins: readonly string[]
  /** Shown by the authenticator. */
  rpName: string
}

/** Options for `navigator.credentials`, as JSON. */
type Options = Record<string, unknown>

/**
 * Passkeys (WebAuthn Level 3). The person is always verified, by PIN or finger, so a passkey is two factors by itself.
 * What is wrong with an answer is not told apart.
 */
export interface Passkeys {
  /** @param known those that the account has: an authenticator that holds one of them makes no other. */
  registrationOptions(asked: {
    challenge: string
    userId: UserId
    name: string
    known: readonly PasskeyCredential[]
  }): Promise<Options>
  /** @returns the new credential and its counter; `undefined`: it is no answer to this challenge. */
  verifyRegistration(
    challenge: string,
    answer: PasskeyAttestation,
  ): Promise<{ credential: PasskeyCredential; counter: number } | undefined>
  /** @param known only these are asked for; none: whichever the authenticator has for us. */
  loginOptions(challenge: string, known: readonly PasskeyCredential[]): Promise<Options>
  /** @returns the counter after it; `undefined`: it is no answer of this credential to this challenge. */
  verifyLogin(
    challenge: string,
    answer: PasskeyAssertion,
    credential: PasskeyCredential,
    counter: number,
  ): Promise<number | undefined>
}

/** EdDSA, ES256, RS256: what authenticators have. */
const algorithms = [-8, -7, -257]
const timeoutMs = 5 * 60_000

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
const named = ({ credentialId: id, transports }: PasskeyCredential) => ({ id, transports })

/** What a passkey says of whose it is: our id of the account, nothing personal. */
export const userHandleOf = (userId: UserId): string => Buffer.from(userId).toString('base64url')

/** Names the stream that says whose a credential id is. */
export const passkeyHash = (tenant: string, credentialId: string): string =>
  createHash('sha256').update(`${tenant}|${credentialId}`).digest('hex')

export function createPasskeys({ rpId, origins, rpName }: PasskeySettings): Passkeys {
  const expected = { expectedOrigin: [...origins], expectedRPID: rpId, requireUserVerification: true }

  return {
    async registrationOptions({ challenge, userId, name, known }) {
      const options = await generateRegistrationOptions({
        rpName,
        rpID: rpId,
        userName: name,
        userID: new Uint8Array(Buffer.from(userId)),
        challenge: bytesOf(challenge),
        timeout: timeoutMs,
        // Who made the authenticator is not asked: that would tell people by their device.
        attestationType: 'none',
        excludeCredentials: known.map(named),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        supportedAlgorithmIDs: algorithms,
      })
      return { ...options }
    },

    async verifyRegistration(
      challenge,
      { id, rawId, type, response: { clientDataJSON, attestationObject, transports } },
    ) {
      const response = { id, rawId, type, response: { clientDataJSON, attestationObject }, clientExtensionResults: {} }
      const checked = await verifyRegistrationResponse({
        ...expected,
        response,
        expectedChallenge: challenge,
        supportedAlgorithmIDs: algorithms,
      }).catch(() => undefined)
      if (!checked?.verified) return undefined
      const { id: credentialId, publicKey, counter } = checked.registrationInfo.credential
      return {
        credential: { credentialId, publicKey: Buffer.from(publicKey).toString('base64url'), transports },
        counter,
      }
    },

    async loginOptions(challenge, known) {
      const options = await generateAuthenticationOptions({
        rpID: rpId,
        challenge: bytesOf(challenge),
        timeout: timeoutMs,
        userVerification: 'required',
        allowCredentials: known.map(named),
      })
      return { ...options }
    },

    async verifyLogin(challenge, answer, { credentialId: id, publicKey }, counter) {
      const { rawId, type, response } = answer
      const { userHandle: _, ...signed } = response
      if (answer.id !== id) return undefined
      const checked = await verifyAuthenticationResponse({
        ...expected,
        response: { id, rawId, type, response: signed, clientExtensionResults: {} },
        expectedChallenge: challenge,
        credential: { id, publicKey: bytesOf(publicKey), counter },
      }).catch(() => undefined)
      return checked?.verified ? checked.authenticationInfo.newCounter : undefined
    },
  }
}
