import { z } from 'zod'
import { knownAddress } from '../email'
import { PaymentFailureCode } from '../events/payments'
import { Role } from '../events/accounts'
import { PaymentId, UserId } from '../ids'
import { Currency, DecimalAmount } from '../money'
import { requestText } from '../text'
import { CalendarDate, DateTime } from '../time'
import { PaymentStatus } from './commands'

/** How current an answer is. */
export const Freshness = z.object({
  /** Log position up to which every fact of this answer's partitions has been applied. */
  position: z.string(),
  /** ISO 8601, UTC: when the newest of them was applied. `null` before the first. */
  asOf: z.iso.datetime().nullable(),
})

/** A page of a list: hand `nextCursor` back as `cursor`; `null` ends the list. */
const page = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable(), freshness: Freshness })

/** Digits and nothing else: `0x10`, `1e1` and ` 5` are numbers to JavaScript only. */
const isDigits = (given: unknown): boolean => typeof given === 'string' && /^\d{1,15}$/.test(given)

/** 100 bounds the work and the size of one answer. */
const paging = {
  limit: z
    .preprocess(
      (given) => (isDigits(given) ? Number(given) : given),
      z.int('must be a number from 1 to 100').min(1).max(100),
    )
    .default(20)
    .meta({ default: 20 }),
  cursor: z.string().max(400).optional(),
}

export const UserView = z.object({
  userId: UserId,
  email: z.string().nullable(),
  name: z.string().nullable(),
  locale: z.string(),
  roles: z.array(Role),
  registeredAt: z.iso.datetime(),
  lastLoginAt: z.iso.datetime().nullable(),
  loginCount: z.int(),
})

export const PaymentView = z.object({
  paymentId: PaymentId,
  userId: UserId,
  amount: DecimalAmount,
  currency: Currency,
  status: PaymentStatus,
  methodType: z.string(),
  description: z.string().nullable(),
  failureCode: PaymentFailureCode.nullable(),
  gatewayReference: z.string().nullable(),
  attempts: z.int(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  revision: z.int(),
})

/** One line of a payment's history, as its owner may see it. */
export const PaymentEventView = z.object({
  id: z.string(),
  type: z.string(),
  revision: z.int(),
  at: z.iso.datetime(),
  data: z.record(z.string(), z.unknown()),
})

export const ActivityView = z.object({
  id: z.string(),
  type: z.string(),
  at: z.iso.datetime(),
  /** The session or payment that it is about. */
  about: z.string(),
})

export const PaymentTotalsView = z.object({
  day: z.iso.date(),
  currency: Currency,
  createdCount: z.int(),
  createdAmount: z.string(),
  completedCount: z.int(),
  completedAmount: z.string(),
  failedCount: z.int(),
  failedAmount: z.string(),
})

export const ListUsersQuery = z.strictObject({
  ...paging,
  /** Compared as it was registered; a text that is no address finds nobody. */
  email: requestText({ max: 254 })
    .overwrite((text) => knownAddress(text) ?? text.toLowerCase())
    .optional(),
})
export const ListPaymentsQuery = z.strictObject({
  ...paging,
  userId: UserId.optional(),
  status: PaymentStatus.optional(),
  currency: Currency.optional(),
  createdFrom: DateTime.optional(),
  createdBefore: DateTime.optional(),
})
export const ListActivityQuery = z.strictObject(paging)
export const PaymentStatsQuery = z.strictObject({
  from: CalendarDate.optional(),
  to: CalendarDate.optional(),
  currency: Currency.optional(),
})

export const UserResponse = UserView.extend({ freshness: Freshness })
export const UserPage = page(UserView)
export const PaymentResponse = PaymentView.extend({ freshness: Freshness })
export const PaymentPage = page(PaymentView)
export const ActivityPage = page(ActivityView)
export const PaymentEventsResponse = z.object({ items: z.array(PaymentEventView), freshness: Freshness })
export const PaymentStatsResponse = z.object({ items: z.array(PaymentTotalsView), freshness: Freshness })
