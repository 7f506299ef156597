import { z } from 'zod'

/** Send it back to a query as the header `Consistency-Token`: the answer will not be older than this command. */
export const consistencyToken = z.string().describe('Opaque; a query that sends it back sees at least this change')

/** 1 to 128 visible ASCII characters, as in draft-ietf-httpapi-idempotency-key-header. */
export const IdempotencyKey = z.string().regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 visible ASCII characters')

/** How current an answer is. */
export const Freshness = z.object({
  /** Log position up to which every fact of this answer's partitions has been applied. */
  position: z.string(),
  /** ISO 8601, UTC: when the newest of them was applied. `null` before the first. */
  asOf: z.iso.datetime().nullable(),
})

/** A page of a list: hand `nextCursor` back as `cursor`; `null` ends the list. */
export const page = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable(), freshness: Freshness })

/** Digits and nothing else: `0x10`, `1e1` and ` 5` are numbers to JavaScript only. */
const isDigits = (given: unknown): boolean => typeof given === 'string' && /^\d{1,15}$/.test(given)

/** 100 bounds the work and the size of one answer. */
export const paging = {
  limit: z
    .preprocess(
      (given) => (isDigits(given) ? Number(given) : given),
      z.int('must be a number from 1 to 100').min(1).max(100),
    )
    .default(20)
    .meta({ default: 20 }),
  cursor: z.string().max(400).optional(),
}
