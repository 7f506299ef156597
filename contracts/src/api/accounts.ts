import { z } from 'zod'
import { EmailAddress, knownAddress } from '../email'
import { Locale, Role } from '../events/accounts'
import { UserId } from '../ids'
import { nameForm, requestText } from '../text'
import { consistencyToken, Freshness, page, paging } from './common'

/** What bcrypt reads of a password: a longer one would be cut in silence. */
export const passwordBytesMax = 72

/** What a password may be in any spelling: longer ones are not looked at. A form other than C takes up to three times the room. */
export const passwordUnitsMax = 200

/**
 * A password in the form in which it is compared: NFC, so that it is the same from every keyboard (NIST SP 800-63B-4 § 3.1.1.2).
 * What is no password (half of a surrogate pair, a NUL, too long) stays as it is: it is refused when it is set, and matches nothing.
 */
export const canonicalPassword = (password: string): string =>
  password.length <= passwordUnitsMax && password.isWellFormed() ? password.normalize('NFC') : password

/** Why no account can have this password; `undefined`: one may. */
export function passwordFault(password: string): string | undefined {
  if (!password.isWellFormed()) return 'must be well-formed Unicode: it holds half of a surrogate pair'
  if (password.includes('\0')) return 'must not contain a NUL character'
  if (new TextEncoder().encode(password).length > passwordBytesMax)
    return `must have at most ${passwordBytesMax} bytes in UTF-8`
  return undefined
}

/**
 * 12 characters to 72 bytes: the least that NIST SP 800-63B-4 would have beside a blocklist (§ 3.1.1.2 asks 15 alone, 8 with a
 * second factor), and the most that bcrypt reads. Kept in form C.
 */
export const Password = z
  .string()
  .overwrite(canonicalPassword)
  .min(12, 'must have at least 12 characters')
  .check(({ value, issues }) => {
    const fault = passwordFault(value)
    if (fault) issues.push({ code: 'custom', message: fault, input: value })
  })

export const RegisterRequest = z.strictObject({
  email: EmailAddress,
  password: Password,
  name: requestText(nameForm),
  locale: Locale.default('en'),
})
export const RegisterResponse = z.object({ userId: UserId, consistencyToken })

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
})
export const ListActivityQuery = z.strictObject(paging)

export const UserResponse = UserView.extend({ freshness: Freshness })
export const UserPage = page(UserView)
export const ActivityPage = page(ActivityView)
