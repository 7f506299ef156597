import { z } from 'zod'
import { EmailAddress, KnownEmailAddress } from '../email'
import { Locale, TimeZone } from '../events/accounts'
import { ChallengeId } from '../ids'
import { PhoneNumber } from '../phone'
import { nameForm, requestText } from '../text'
import { Password, passwordUnitsMax } from './accounts'
import { consistencyToken } from './common'

/** What stands behind the `#` of a link. */
const LinkToken = z.string().min(1).max(200).describe('What stands behind "#token=" in the link')
const Code = z
  .string()
  .regex(/^\d{6}$/, 'must be six digits')
  .describe('The six digits of the message')

/** By the link of a message, or by the code in it. */
export const ChallengeAnswer = z.union([
  z.strictObject({ token: LinkToken }),
  z.strictObject({ challengeId: ChallengeId, code: Code }),
])
export const CodeAnswer = z.strictObject({ challengeId: ChallengeId, code: Code })

/** Of a message that was sent, whatever has become of it. */
export const ChallengeSent = z.object({
  challengeId: ChallengeId.describe('Names the message; send it back with the code'),
  expiresAt: z.iso.datetime().describe('Until when it can be answered'),
})

/** Of a change: what a query has to see. */
export const Changed = z.object({ consistencyToken })

export const ForgotPasswordRequest = z.strictObject({ email: KnownEmailAddress })
export const ResetPasswordRequest = z.strictObject({ token: LinkToken, password: Password })
export const ChangePasswordRequest = z.strictObject({
  currentPassword: z
    .string()
    .min(1)
    .max(passwordUnitsMax)
    .optional()
    .describe('Left out only by an account that has no password yet, with an authentication of the last minutes'),
  newPassword: Password,
})

export const ChangeEmailRequest = z.strictObject({ email: EmailAddress })
export const UndoEmailRequest = z.strictObject({ token: LinkToken })
export const UndoEmailResponse = z.object({
  passwordResetSent: z
    .boolean()
    .describe('Whether a link for a new password was sent: whoever changed the address may know the old one'),
})

export const ChangePhoneRequest = z.strictObject({ phone: PhoneNumber })

const isTimeZone = (name: string): boolean => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

export const ChangeProfileRequest = z
  .strictObject({
    name: requestText(nameForm).optional(),
    locale: Locale.optional(),
    timeZone: TimeZone.refine(isTimeZone, 'must be a time zone of the IANA database').optional(),
  })
  .refine((changes) => Object.values(changes).some((value) => value !== undefined), 'must change something')

/** What a person may agree to: a closed list. Nothing is agreed to unless the person says so. */
export const consents = {
  'marketing-email': 'mail with offers',
  'product-news': 'mail about new features',
} as const satisfies Record<string, string>
export type Consent = keyof typeof consents

const eachConsent = <Field extends z.ZodType>(field: (meaning: string) => Field) =>
  Object.fromEntries(Object.entries(consents).map(([name, meaning]) => [name, field(meaning)])) as Record<
    Consent,
    Field
  >

export const ChangeConsentsRequest = z.strictObject({
  consents: z.strictObject(eachConsent((meaning) => z.boolean().optional().describe(meaning))),
})
export const ConsentsResponse = z.object({
  consents: z.object(
    eachConsent((meaning) =>
      z.object({ isGiven: z.boolean(), givenAt: z.iso.datetime().nullable() }).describe(meaning),
    ),
  ),
})
