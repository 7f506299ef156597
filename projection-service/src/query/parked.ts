import { HttpProblem } from '@annals/platform/api'
import type { Projection } from '../engine/definition/projection'
import type { ReadModels } from './read-models'

interface ParkedRow {
  revision: bigint
  type: string
  parked_at: string
}

/**
 * What is said of a stream that stands still at an event which could not be applied: its place, never its content.
 * @param only.visibleTo only when the parked event names this user; default: whoever asks may see it.
 * @param only.upTo only when it is not later than this revision.
 * @returns `undefined` when nothing of the stream is parked, or who asks may not know of it.
 */
export async function parkedProblem(
  { pool, tables }: ReadModels,
  projection: Projection,
  stream: string,
  only: { visibleTo?: string | undefined; upTo?: number | undefined } = {},
): Promise<HttpProblem | undefined> {
  const { rows } = await pool.query<ParkedRow>(
    `select revision, type, parked_at from ${tables(projection).parked}
     where stream = $1 and error is not null and ($2::text is null or recorded -> 'data' ->> 'userId' = $2)
       and ($3::bigint is null or revision <= $3)
     order by revision limit 1`,
    [stream, only.visibleTo ?? null, only.upTo ?? null],
  )
  const parked = rows[0]
  if (!parked) return undefined
  const { revision, type, parked_at } = parked
  return new HttpProblem('read-model-parked', {
    detail:
      `Event ${revision} of this (${type}) could not be applied to ${projection.name} at ${parked_at}; it and all that follows it are recorded, ` +
      'and shown once an operator has looked at it.',
    headers: { 'Retry-After': '60' },
  })
}
