import { z } from 'zod'
import { UserId } from '../ids'
import { DateTime } from '../time'
import { page, paging } from './common'

/** What came of an act. */
export const AuditResult = z.enum(['success', 'failure', 'denied', 'unknown'])
export type AuditResult = z.infer<typeof AuditResult>

/** SHA-256, lower-case hex. */
const Hash = z.string().regex(/^[0-9a-f]{64}$/)

/**
 * An entry of the audit trail: an event, who caused it, and its place in the chain of its partition. It holds no personal data. What is
 * `null` the release that wrote the entry could not read.
 */
export const AuditEntry = z.object({
  id: z.string().describe('Id of the event'),
  type: z.string(),
  at: z.iso.datetime().nullable(),
  actorType: z.string().nullable(),
  actorId: z.string().nullable(),
  userId: z.string().nullable().describe('The person whose account, session or payment it is'),
  about: z.string().nullable().describe('The account, session or payment'),
  result: AuditResult.nullable(),
  reason: z.string().nullable(),
  correlationId: z.string().nullable(),
  commandId: z.string().nullable(),
  source: z.string().nullable().describe('Service that recorded it'),
  stream: z.string(),
  revision: z.int(),
  position: z.string().describe('In the log'),
  topic: z.string(),
  partition: z.int(),
  sequence: z.int().describe('1, 2, 3, … within the partition'),
  contentHash: Hash.describe('Of the event as the log holds it'),
  previousHash: Hash.describe('`hash` of the entry before; zeros before the first'),
  hash: Hash.describe('Of place, `previousHash` and `contentHash`'),
})

const filters = {
  userId: UserId.optional().describe('Who acted, or whose account, session or payment it is'),
  type: z
    .string()
    .regex(/^[a-z][a-z_.-]{0,63}$/, 'must be the type of an event, such as "user.login"')
    .optional(),
  result: AuditResult.optional(),
  from: DateTime.optional(),
  to: DateTime.optional().describe('Not included'),
}

export const ListAuditQuery = z.strictObject({ ...paging, ...filters })
export const ExportAuditQuery = z.strictObject({ ...filters, format: z.enum(['ndjson', 'csv']).default('ndjson') })
export const AuditPage = page(AuditEntry)
