import { createHash } from 'node:crypto'
import type { IncomingRecord } from './ports'

/**
 * What a record's content is recognised by when it is read again: the id of the CloudEvent that it is, else a digest of the whole.
 * @returns 80 characters at most.
 */
export function recordMark({ key, value, headers }: Pick<IncomingRecord, 'key' | 'value' | 'headers'>): string {
  const id = headers['ce_id']?.toString()
  if (id !== undefined && /^[\w-]{1,64}$/.test(id)) return id
  const digest = createHash('sha256').update(JSON.stringify([key, value?.toString('base64') ?? null]))
  for (const [name, header] of Object.entries(headers))
    digest.update(JSON.stringify([name, header?.toString('base64')]))
  return `sha256:${digest.digest('hex')}`
}
