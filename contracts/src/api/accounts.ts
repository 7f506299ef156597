import { z } from 'zod'
import { EmailAddress, knownAddress } from '../email'
import { Locale, Role } from '../events/accounts'
import { RegistrationId, UserId } from '../ids'
import { nameForm, requestText } from '../text'
import { consistencyToken, Freshness, page, paging } from './common'

/** Code points of a password in form C, whatever else it may hold. */
const passwordCharacters = { min: 8, max: 128 }

/**
 * What a password may be in any spelling: longer ones are not looked at. No character takes more than six units in a form other
 * than C.
 */
export const passwordUnitsMax = 6 * passwordCharacters.max

/**
 * A password in the form in which it is compared: NFC, so that it is the same from every keyboard (NIST SP 800-63B-4 § 3.1.1.2).
 * What is no password (half of a surrogate pair, a NUL, too long) stays as it is: it is refused when it is set, and matches nothing.
 */
export const canonicalPassword = (password: string): string =>
  password.length <= passwordUnitsMax && password.isWellFormed() ? password.normalize('NFC') : password

/** A surrogate pair is one, so are a letter and an accent that form C joins. @param password canonical. */
export const charactersOf = (password: string): number => [...password].length

/** Why no account can have this password; `undefined`: one may. @param password canonical. */
export function passwordFault(password: string): string | undefined {
  if (!password.isWellFormed()) return 'must be well-formed Unicode: it holds half of a surrogate pair'
  if (password.includes('\0')) return 'must not contain a NUL character'
  if (charactersOf(password) > passwordCharacters.max) return `must have at most ${passwordCharacters.max} characters`
  return undefined
}

/**
 * A password that is to be set, in form C. 8 characters at least, whoever it is for; how many an account needs is the command
 * service's to say.
 */
export const Password = z
  .string()
  .overwrite(canonicalPassword)
  .check(({ value, issues }) => {
    const isShort = charactersOf(value) < passwordCharacters.min
    const fault = isShort ? `must have at least ${passwordCharacters.min} characters` : passwordFault(value)
    if (fault) issues.push({ code: 'custom', message: fault, input: value })
  })
  .meta({
    minLength: passwordCharacters.min,
    description:
      `15 characters at least, ${passwordCharacters.min} where the account has a second factor, ${passwordCharacters.max} at most. ` +
      'Characters are code points in Unicode form C, of any script.',
  })

export const RegisterRequest = z.strictObject({
  email: EmailAddress,
  password: Password,
  name: requestText(nameForm),
  locale: Locale.default('en'),
})
/** Where an address is proved first: the answer is the same whether it has an account or not. */
export const RegistrationBegunResponse = z.object({
  registrationId: RegistrationId.describe('Names the attempt, beside the code that the mail brings'),
  expiresAt: z.iso.datetime().describe('The attempt ends then'),
})
/** Where an account begins at once. */
export const RegisteredResponse = z.object({ userId: UserId, consistencyToken })
export const RegisterResponse = z.union([RegistrationBegunResponse, RegisteredResponse])

/** A code that somebody types. */
const TypedCode = z.string().regex(/^\d{6}$/, 'must be six digits')
/** What stands behind `#token=` in a link. */
export const LinkToken = z.string().min(1).max(200)

export const VerifyEmailRequest = z.union([
  z.strictObject({ token: LinkToken }),
  z.strictObject({ registrationId: RegistrationId, code: TypedCode }),
])
export const ResendRequest = z.strictObject({ registrationId: RegistrationId })
export const ResendResponse = z.object({ registrationId: RegistrationId })

/** `disabled`: nobody logs in. `erased`: what was personal is gone. */
export const AccountState = z.enum(['active', 'disabled', 'erased'])
export type AccountState = z.infer<typeof AccountState>

export const UserView = z.object({
  userId: UserId,
  state: AccountState,
  email: z.string().nullable(),
  emailProved: z.boolean().describe('Whether mail to the address was answered'),
  phone: z.string().nullable().describe('E.164'),
  name: z.string().nullable(),
  locale: z.string(),
  timeZone: z.string().nullable().describe('IANA name; null: not told'),
  roles: z.array(Role),
  registeredAt: z.iso.datetime(),
  eraseAt: z.iso.datetime().nullable().describe('When the account will be erased; null: that is not asked for'),
  lastLoginAt: z.iso.datetime().nullable(),
  loginCount: z.int(),
})

export const ActivityView = z.object({
  id: z.string(),
  type: z.string(),
  at: z.iso.datetime(),
  /** The session or payment that it is about. */
  about: z.string(),
})

export const ListUsersQuery = z.strictObject({
  ...paging,
  /** Compared as it was registered; a text that is no address finds nobody. */
  email: requestText({ max: 254 })
    .overwrite((text) => knownAddress(text) ?? text.toLowerCase())
    .optional(),
  name: requestText(nameForm).describe('How the name begins; capitals do not matter').optional(),
  role: Role.optional(),
  state: AccountState.optional(),
})
export const ListActivityQuery = z.strictObject(paging)

export const UserResponse = UserView.extend({ freshness: Freshness })
export const UserPage = page(UserView)
export const ActivityPage = page(ActivityView)
