import { z } from 'zod'
import { FactorKind } from '../events/accounts'
import { FactorId } from '../ids'
import { labelForm, requestText } from '../text'

const label = requestText(labelForm).nullable().default(null).describe("The owner's name for it")

/** Digits, as an app shows or a message brings them. */
export const FactorCode = z.string().regex(/^\d{6}$/, 'must be six digits')
/** Sixteen letters and digits; hyphens, blanks and capitals do not matter. */
export const RecoveryCode = z.string().min(16).max(64)

/** base64url without padding, of so many characters at most. */
const base64url = (max: number) =>
  z
    .string()
    .regex(/^[\w-]+$/, 'must be base64url')
    .min(1)
    .max(max)

/** Opaque; from the answer that began it. */
export const CeremonyToken = z.string().min(1).max(1_000)

export const FactorView = z.object({
  factorId: FactorId,
  kind: FactorKind,
  label: z.string().nullable(),
  addedAt: z.iso.datetime(),
  codesLeft: z.int().nullable().describe('Of recovery codes; null: of another kind'),
})
export const FactorsResponse = z.object({ items: z.array(FactorView) })
export const FactorParams = z.strictObject({ factorId: FactorId })
export const AddFactorRequest = z.strictObject({ label })

export const TotpResponse = z.object({
  factorId: FactorId,
  secret: z.string().describe('Base32; it is never shown again'),
  uri: z.string().describe('otpauth:// for a QR code'),
  expiresAt: z.iso.datetime().describe('To be confirmed until then'),
})
export const ConfirmTotpRequest = z.strictObject({ factorId: FactorId, code: FactorCode, label })

export const RecoveryCodesResponse = z.object({
  factorId: FactorId,
  codes: z.array(z.string()).describe('Each is good for one login; they are never shown again'),
})

/** For `navigator.credentials`, in the JSON form of WebAuthn Level 3 § 5.1. */
const publicKeyOptions = z.record(z.string(), z.unknown())

export const PasskeyOptionsResponse = z.object({
  ceremonyToken: z.string().describe('To be sent back with what the authenticator answers'),
  expiresAt: z.iso.datetime(),
  publicKey: publicKeyOptions,
})

/** What a browser puts beside an answer. It is not signed, so nothing of it counts. */
const credential = {
  id: base64url(1_400),
  rawId: base64url(1_400),
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
  clientExtensionResults: z
    .strictObject({ credProps: z.strictObject({ rk: z.boolean().optional() }).optional() })
    .optional(),
}

/** `RegistrationResponseJSON` of WebAuthn Level 3 § 5.1.8. */
export const PasskeyAttestation = z.strictObject({
  ...credential,
  response: z.strictObject({
    clientDataJSON: base64url(4_000),
    attestationObject: base64url(16_000),
    transports: z
      .array(z.string().regex(/^[a-z-]{1,32}$/))
      .max(10)
      .default([]),
    authenticatorData: base64url(16_000).optional(),
    publicKey: base64url(4_000).nullish(),
    publicKeyAlgorithm: z.int().optional(),
  }),
})
export type PasskeyAttestation = z.infer<typeof PasskeyAttestation>

/** `AuthenticationResponseJSON` of WebAuthn Level 3 § 5.1.8. */
export const PasskeyAssertion = z.strictObject({
  ...credential,
  response: z.strictObject({
    clientDataJSON: base64url(4_000),
    authenticatorData: base64url(4_000),
    signature: base64url(4_000),
    userHandle: base64url(200).nullish(),
  }),
})
export type PasskeyAssertion = z.infer<typeof PasskeyAssertion>

export const AddPasskeyRequest = z.strictObject({
  ceremonyToken: CeremonyToken,
  credential: PasskeyAttestation,
  label,
})
export const PasskeyLoginRequest = z.strictObject({ ceremonyToken: CeremonyToken, credential: PasskeyAssertion })

/** One of a code, a recovery code, what a passkey answered, or `send`: what the factor needs is asked for. */
export const MfaRequest = z.union([
  z.strictObject({ challengeToken: CeremonyToken, factorId: FactorId, code: FactorCode }),
  z.strictObject({ challengeToken: CeremonyToken, factorId: FactorId, recoveryCode: RecoveryCode }),
  z.strictObject({ challengeToken: CeremonyToken, factorId: FactorId, credential: PasskeyAssertion }),
  z.strictObject({ challengeToken: CeremonyToken, factorId: FactorId, send: z.literal(true) }),
])

/** The password was right, and the account asks for more. */
export const SecondFactorNeeded = z.object({
  mfa: z.object({
    challengeToken: z.string().describe('For `POST /api/v1/auth/mfa`, and for nothing else'),
    factors: z.array(z.object({ factorId: FactorId, kind: FactorKind })),
    expiresAt: z.iso.datetime(),
  }),
})

/** A code is on its way; of a passkey, what the authenticator has to be asked. */
export const FactorAsked = z.object({
  sent: z.object({ factorId: FactorId, expiresAt: z.iso.datetime(), publicKey: publicKeyOptions.nullable() }),
})
