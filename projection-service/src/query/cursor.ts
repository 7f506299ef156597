import { createHash } from 'node:crypto'
import { z } from 'zod'
import { DateTime } from '@annals/contracts'
import { HttpProblem } from '@annals/platform/api'

/** Where a page ended in a list ordered by time and id, both descending. */
export interface PagePoint {
  /** ISO 8601. */
  at: string
  id: string
}

const Content = z.strictObject({ v: z.literal(1), f: z.string(), at: DateTime, id: z.uuid() })
/** Where a page ended in a list ordered by position in the log. */
const PositionContent = z.strictObject({ v: z.literal(1), f: z.string(), position: z.string().regex(/^\d{1,18}$/) })

/** What the cursor was made for: a cursor of one list or filter means nothing in another. */
const fingerprintOf = (list: string, filters: Readonly<Record<string, unknown>>) =>
  createHash('sha256')
    .update(JSON.stringify([list, Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1))]))
    .digest('base64url')
    .slice(0, 12)

export function encodeCursor(
  list: string,
  filters: Readonly<Record<string, unknown>>,
  point: PagePoint | { position: string },
): string {
  const content = { v: 1, f: fingerprintOf(list, filters), ...point }
  return Buffer.from(JSON.stringify(content)).toString('base64url')
}

/** @throws HttpProblem `invalid-cursor` for a text that this list, with these filters, did not hand out. */
export function decodeCursor(
  list: string,
  filters: Readonly<Record<string, unknown>>,
  cursor: string | undefined,
): PagePoint | undefined {
  const content = contentOf(Content, list, filters, cursor)
  return content && { at: content.at, id: content.id }
}

/** The same for a list ordered by position in the log. @returns the position of the last item. */
export function decodePositionCursor(
  list: string,
  filters: Readonly<Record<string, unknown>>,
  cursor: string | undefined,
): string | undefined {
  return contentOf(PositionContent, list, filters, cursor)?.position
}

function contentOf<Schema extends z.ZodType<{ f: string }>>(
  schema: Schema,
  list: string,
  filters: Readonly<Record<string, unknown>>,
  cursor: string | undefined,
): z.output<Schema> | undefined {
  if (cursor === undefined) return undefined
  const content = schema.safeParse(jsonOf(cursor))
  if (content.success && content.data.f === fingerprintOf(list, filters)) return content.data
  throw new HttpProblem('invalid-cursor', {
    detail: 'Send "nextCursor" of the page before, with the same filters; or begin without a cursor.',
  })
}

function jsonOf(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}

/** Cuts a list that was read one longer than the page: what is beyond tells that there is more. */
export function pageOf<Found, View>(
  found: readonly Found[],
  limit: number,
  view: (row: Found) => View,
  cursorOf: (last: Found) => string,
): { items: View[]; nextCursor: string | null } {
  const items = found.slice(0, limit)
  return { items: items.map(view), nextCursor: found.length > limit ? cursorOf(items.at(-1)!) : null }
}
