import type { Pool } from '@annals/platform/postgres'
import type { Projection } from '../../engine/definition/projection'

/** Assignments of every statement that moves a rebuild: the time since the one before was spent working on it. */
export const workedSql = 'worked = worked + (now() - updated_at), updated_at = now()'

/** Why a run ended before its rebuild did. */
export interface RebuildFailure {
  /** Name of the error's class. */
  error: string
  message: string
  /** ISO 8601. */
  at: string
}

/** Kept of an error's message: a sentence, not what a server may have poured into it. */
const messageMax = 2_000

export const isInterruption = ({ error }: Pick<RebuildFailure, 'error'>): boolean => error === 'AbortError'

/**
 * Runs `work` on rebuilds of these projections; when it fails, the unfinished ones keep why. Only while their locks are held.
 * @param lost aborts when a lock is lost: somebody else may go on with them then, and they are left alone.
 */
export async function recordingFailure<T>(
  pool: Pool,
  projections: readonly Projection[],
  lost: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    // Should the database be what failed, the rebuild is found without a process that works on it, which tells, too.
    if (!lost.aborted) await recordFailure(pool, projections, error).catch(() => undefined)
    throw error
  }
}

async function recordFailure(pool: Pool, projections: readonly Projection[], error: unknown): Promise<void> {
  // Not `instanceof`: what an AbortSignal throws is an Error of whichever realm made it.
  const { name = 'Error', message = String(error) } = (error ?? {}) as Partial<Error>
  const failure: RebuildFailure = { error: name, message: message.slice(0, messageMax), at: new Date().toISOString() }
  // Somebody else goes on with it: it is not ours to speak of.
  if (name === 'RebuildTaken') return
  await pool.query(
    `update annals.rebuild set failure = $2, failures = failures + $3, ${workedSql}
     where projection = any($1) and state not in ('live', 'aborted') and purpose = any($4)`,
    [
      projections.map((projection) => projection.name),
      JSON.stringify(failure),
      isInterruption(failure) ? 0 : 1,
      // A verification that met an unfinished rebuild has not touched that.
      name === 'RebuildUnfinished' ? ['verify'] : ['verify', 'rebuild'],
    ],
  )
}
