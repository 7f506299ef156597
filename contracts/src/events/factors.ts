import { z } from 'zod'
import { CeremonyId, ChallengeId, FactorId, UserId } from '../ids'
import { FactorKind } from './accounts'
import { defineEvent } from './definition'

/** What checks the signatures of a passkey (WebAuthn Level 3 § 4, "credential record"). */
export const PasskeyCredential = z.object({
  /** base64url, as the authenticator named it. */
  credentialId: z.string().min(1).max(1_400),
  /** COSE_Key (RFC 9052), base64url. */
  publicKey: z.string().min(1).max(4_000),
  transports: z.array(z.string().min(1).max(32)).max(10),
})
export type PasskeyCredential = z.infer<typeof PasskeyCredential>

/** Codes that a set of recovery codes has at most. */
export const recoveryCodesMax = 20

/**
 * How far the uses of a factor have come. Every event after the first carries all of it: only the last one is read.
 * Marks only grow.
 */
const factorUses = {
  userId: UserId,
  factorId: FactorId,
  /** Of a TOTP factor the last step whose code was taken, of a passkey its signature counter; `null`: none yet. */
  mark: z.int().min(0).nullable(),
  /** Of recovery codes: places in the set of those that were taken. */
  spent: z
    .array(
      z
        .int()
        .min(0)
        .max(recoveryCodesMax - 1),
    )
    .max(recoveryCodesMax),
}

/**
 * What proves a factor. It counts for nothing until the account has it (`user.factor_added`), and no longer than that.
 * Not published; of the secrets, one is there at most, by the kind: codes to an address need none.
 */
export const FactorCreated = defineEvent({
  type: 'factor.created',
  version: 1,
  subject: 'userId',
  secrets: ['totpSecret', 'codeHashes', 'passkey'],
  data: z.object({
    userId: UserId,
    factorId: FactorId,
    kind: FactorKind,
    /** Base32 (RFC 4648). */
    totpSecret: z.string().min(16).max(128).nullable(),
    /** SHA-256, hex, of the codes. */
    codeHashes: z.array(z.string().length(64)).min(1).max(recoveryCodesMax).nullable(),
    passkey: PasskeyCredential.nullable(),
  }),
})

/** It has shown who somebody is. What was used (a step, a code, a counter) is never taken again. */
export const FactorUsed = defineEvent({
  type: 'factor.used',
  version: 1,
  data: z.object(factorUses),
})

/** A wrong code was given for it. */
export const FactorGuessed = defineEvent({
  type: 'factor.guessed',
  version: 1,
  data: z.object({
    ...factorUses,
    /** Wrong codes since the last right one, this one included. */
    failures: z.int().min(1),
  }),
})

/** A credential id belongs to a passkey, for ever: no other account can register it. Not published. */
export const PasskeyReserved = defineEvent({
  type: 'passkey.reserved',
  version: 1,
  data: z.object({ userId: UserId, factorId: FactorId }),
})

/** In a login that waits for its second factor, a code was asked for. Only the last one counts. Not published. */
export const CeremonyCodeAsked = defineEvent({
  type: 'ceremony.code_asked',
  version: 1,
  data: z.object({ ceremonyId: CeremonyId, userId: UserId, factorId: FactorId, challengeId: ChallengeId }),
})

/** A login, or the registration of a passkey, has come to its end. It comes there once. Not published. */
export const CeremonyCompleted = defineEvent({
  type: 'ceremony.completed',
  version: 1,
  data: z.object({ ceremonyId: CeremonyId, userId: UserId }),
})
