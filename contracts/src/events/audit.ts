import { z } from 'zod'
import { defineEvent } from './definition'

/** A position of the log, as text: JSON has no number of 64 bits. */
const Position = z.string().regex(/^\d{1,19}$/)

/** The last entry of one chain of the audit trail. */
export const ChainHead = z.object({
  topic: z.string().min(1).max(128),
  partition: z.int().min(0),
  /** Of its entry within the partition. */
  sequence: z.int().positive(),
  /** SHA-256, lower-case hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  position: Position,
})

/**
 * Where all chains of the audit trail stand, as they follow from the log up to a position. It says in the log what the log was: whoever
 * changes an older part of it makes other chains. Not published.
 */
export const AuditAnchored = defineEvent({
  type: 'audit.anchored',
  version: 1,
  data: z.object({
    /** The log was read up to here. */
    readTo: Position,
    heads: z.array(ChainHead).min(1).max(1_000),
  }),
})
