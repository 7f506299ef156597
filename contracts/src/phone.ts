import { z } from 'zod'

/** A phone number in the form of ITU-T E.164: `+`, the country, and at most 15 digits together. */
export const PhoneNumber = z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be a phone number such as +34600123456 (E.164)')
