import type { Pool } from '@annals/platform/postgres'
import { logStateTable } from '../engine/tables/log-state-table'
import { isMissingTable } from './read-models'

/** What the projector has found out about the log that the read models are made from. */
export interface LogState {
  /** As it was read within the last second. */
  read(): Promise<{
    /** Of the log; `undefined`: nobody has looked yet. */
    identity: string | undefined
    /** Why the read models are not fed any more, in the projector's words; `undefined`: they are. */
    refusal: string | undefined
  }>
}

type Found = Awaited<ReturnType<LogState['read']>>

const freshMs = 1_000
const unknown: Found = { identity: undefined, refusal: undefined }

/** Reads `annals.log_state`; requests that come together share one read. */
export function createLogState(pool: Pool): LogState {
  let known: { at: number; found: Promise<Found> } | undefined

  async function ask(): Promise<Found> {
    const { rows } = await pool
      .query<{ identity: string | null; refusal: string | null }>(`select identity, refusal from ${logStateTable}`)
      .catch((error: unknown) => {
        if (isMissingTable(error)) return { rows: [] }
        throw error
      })
    const row = rows[0]
    return row ? { identity: row.identity ?? undefined, refusal: row.refusal ?? undefined } : unknown
  }

  return {
    read() {
      if (!known || Date.now() - known.at > freshMs) {
        const found = ask()
        known = { at: Date.now(), found }
        found.catch(() => (known = undefined))
      }
      return known.found
    },
  }
}
