import { z } from 'zod'
import { ChallengeId, UserId } from '../ids'
import { writtenTime } from '../time'
import { Locale, SecurityEpoch } from './accounts'
import { defineEvent } from './definition'

/**
 * What the answer to a challenge is for. `address-taken`, `email-changed` and `goodbye` only tell somebody something: the second may be
 * answered to undo the change, the others have no answer. `goodbye` is for who is erased: the address is sealed under the challenge's
 * key, since the person's own is destroyed by the time at which it is sent.
 */
export const ChallengePurpose = z.enum([
  'verify-email',
  'address-taken',
  'invite',
  'password-reset',
  'change-email',
  'email-changed',
  'change-phone',
  'second-factor',
  'step-up',
  'goodbye',
])
export type ChallengePurpose = z.infer<typeof ChallengePurpose>

export const ChallengeChannel = z.enum(['email', 'sms'])
export type ChallengeChannel = z.infer<typeof ChallengeChannel>

/**
 * Somebody is asked to answer with what is sent to an address. Address, code and token are sealed under a key of the
 * challenge's own (`subject`: the challenge), which is destroyed when the challenge ends: events and deliveries are kept
 * for ever, and a code in them must not be. The notifier opens it when it sends, and at no other time.
 */
export const ChallengeIssued = defineEvent({
  type: 'challenge.issued',
  version: 1,
  subject: 'challengeId',
  personal: ['to', 'code', 'token'],
  data: z.object({
    challengeId: ChallengeId,
    purpose: ChallengePurpose,
    /** Whose account it is about; `null`: nobody's yet, or that is not said. */
    userId: UserId.nullable(),
    /** The epoch of that account: an answer counts only while it lasts. `null`: without an account. */
    epoch: SecurityEpoch.nullable(),
    /** What it is about, where that is no account: an attempt to register, a factor. `null`: nothing else. */
    about: z.uuid().nullable(),
    channel: ChallengeChannel,
    locale: Locale,
    /** An e-mail address, or a phone number in the form of E.164. */
    to: z.string().min(3).max(254),
    /** Six digits to type; `null`: it is answered by a link alone. */
    code: z
      .string()
      .regex(/^\d{6,8}$/)
      .nullable(),
    /** For a link; `null`: it is answered by a code alone, or by nothing. */
    token: z
      .string()
      .regex(/^[\w.-]{1,200}$/)
      .nullable(),
    expiresAt: z.iso.datetime(),
  }),
  written: { expiresAt: writtenTime },
})

/** A wrong code was given. Few are borne: the challenge is over then. */
export const ChallengeGuessed = defineEvent({
  type: 'challenge.guessed',
  version: 1,
  data: z.object({ challengeId: ChallengeId, guess: z.int().min(1) }),
})

/** The right answer was given. It is never taken again. */
export const ChallengeAnswered = defineEvent({
  type: 'challenge.answered',
  version: 1,
  data: z.object({ challengeId: ChallengeId, purpose: ChallengePurpose, userId: UserId.nullable() }),
})

/** No answer is taken any more: another challenge has its place, or what it is about has changed. */
export const ChallengeVoided = defineEvent({
  type: 'challenge.voided',
  version: 1,
  data: z.object({ challengeId: ChallengeId }),
})

/**
 * Of all challenges of an account for one purpose only this one can be answered: those before it can not any more. On a
 * stream of its own, `latest-<purpose>-<userId>`, which is not published.
 */
export const ChallengeMadeLatest = defineEvent({
  type: 'challenge.made_latest',
  version: 1,
  data: z.object({ challengeId: ChallengeId, purpose: ChallengePurpose, userId: UserId }),
})
