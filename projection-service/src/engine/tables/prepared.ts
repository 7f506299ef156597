import { createHash } from 'node:crypto'

/**
 * A statement that each connection parses once: half of what a small transaction costs PostgreSQL is parsing and planning.
 * The name is the text's hash, so that another text never meets the plan of this one. A swap renames schemas under it:
 * PostgreSQL then looks the names up again.
 */
export const prepared = (text: string): { name: string; text: string } => ({
  name: createHash('sha256').update(text).digest('hex').slice(0, 32),
  text,
})
