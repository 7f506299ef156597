import { z } from 'zod'
import { writtenAddress } from '../email'
import { RegistrationId, UserId } from '../ids'
import { nameForm, recordedText, writtenText } from '../text'
import { writtenTime } from '../time'
import { Locale } from './accounts'
import { defineEvent } from './definition'

/**
 * Somebody wants an account, and has not shown yet that mail to the address reaches them. Many may, for one address: each attempt has
 * a password of its own. What is hidden in it is sealed under a key of the attempt's own, which is destroyed when the attempt ends.
 * Attempts for an address that has an account are recorded alike. Not published.
 */
export const RegistrationBegun = defineEvent({
  type: 'registration.begun',
  version: 1,
  subject: 'registrationId',
  personal: ['email', 'name'],
  secrets: ['passwordHash'],
  data: z.object({
    registrationId: RegistrationId,
    email: z.string().min(3).max(254),
    name: recordedText(nameForm).min(1),
    locale: Locale,
    passwordHash: z.string().min(1).max(200),
    expiresAt: z.iso.datetime(),
  }),
  written: { email: writtenAddress, name: writtenText(nameForm), expiresAt: writtenTime },
})

/** Another message was asked for: the challenge with this number has the place of the one before. */
export const RegistrationResent = defineEvent({
  type: 'registration.resent',
  version: 1,
  data: z.object({ registrationId: RegistrationId, number: z.int().min(1) }),
})

/** The address was proved, and the account is there. */
export const RegistrationCompleted = defineEvent({
  type: 'registration.completed',
  version: 1,
  data: z.object({ registrationId: RegistrationId, userId: UserId }),
})

/** Another attempt for the same address was completed first. */
export const RegistrationSuperseded = defineEvent({
  type: 'registration.superseded',
  version: 1,
  data: z.object({ registrationId: RegistrationId }),
})
