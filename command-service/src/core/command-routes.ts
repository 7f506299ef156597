import type { z } from 'zod'
import { IdempotencyKey } from '@annals/contracts'
import type { Request } from './command-context'

/** Header of a command that may be repeated under a name. */
export const optionalIdempotencyKey = IdempotencyKey.optional().describe(
  'A repeat with the same key and body is answered as the first was',
)
/** Header of a command that must not be carried out twice by accident. */
export const requiredIdempotencyKey = IdempotencyKey.describe(
  'Your name for this payment: a repeat with it is the same payment',
)

/** The command that a request asks for, before its content. */
export const requestOf = (incoming: {
  correlationId: string
  headers?: { 'idempotency-key'?: z.output<typeof IdempotencyKey> | undefined } | undefined
}): Request => ({
  correlationId: incoming.correlationId,
  idempotencyKey: incoming.headers?.['idempotency-key'],
})

/** A revision as HTTP tells it (RFC 9110 § 8.8.3). */
export const etagOf = (revision: number): string => `"${revision}"`

/** Of routes that open or seal what is personal. */
export const withPersonal = ['personal-data-locked'] as const
/** Of routes that read or write a stream that may have been deleted in the log. */
export const withStream = ['deleted'] as const
/** Of routes that run a command: nobody runs too many at once, or guesses too often. */
export const withShare = ['too-many-requests'] as const
/** Of routes that take an idempotency key. */
export const withKey = ['idempotency-key-reused', 'command-in-progress'] as const
/** Of routes about the account of whoever calls them: it may have been disabled or erased since their token was made. */
export const withAccount = ['account-disabled', 'user-not-found', 'session-ended'] as const
