import type { Pool } from '@annals/platform/postgres'
import { isInterruption, type RebuildFailure } from './rebuild-run'
import { outcomeOf as endOf, type Purpose, type RebuildStage } from './rebuild-state'

/**
 * What became of a rebuild: `live`, `aborted`, or, where it was only to be compared, `verified` or `differs`. Of
 * unfinished rebuilds: a process works on it (`running`), or the last process stopped for a difference (`differs`) or
 * another reason (`failed`), was told to end (`interrupted`), or is gone without a reason (`died`).
 */
export const rebuildOutcomes = [
  'running',
  'live',
  'verified',
  'differs',
  'failed',
  'interrupted',
  'died',
  'aborted',
] as const
export type RebuildOutcome = (typeof rebuildOutcomes)[number]

/** A rebuild that was ever begun, for people and programs. */
export interface RebuildRecord {
  projection: string
  version: number
  outcome: RebuildOutcome
  /** Whether it is built to take over, or only to be compared. */
  purpose: Purpose
  /** Where it stands, or stood when it ended. */
  stage: RebuildStage
  events: number
  /** ISO 8601. */
  startedAt: string
  updatedAt: string
  /** How long runs have worked on it, without the time between them. */
  workedSeconds: number
  /** Events for each second of that; `null` while there is nothing to divide. */
  perSecond: number | null
  /** Calls that worked on it, and how many of them failed or died. */
  runs: number
  failures: number
  /** Who ran it last; `null`: a former release did. */
  actor: string | null
  /** Why it was aborted, or why its last run ended. */
  reason: string | null
  /** What spoke for it, when it was verified; `null`: it has not come so far, or a former release did it. */
  verified: { compared: boolean; equal: boolean; sampled: number; recounted: { rows: number; streams: number } } | null
}

/** What is read of a report. */
interface Report {
  equal?: unknown
  compared?: boolean
  sampled?: number
  recounted?: { rows: number; streams: number }
}

interface Row {
  projection: string
  version: number
  state: RebuildStage
  events: bigint
  started_at: string
  updated_at: string
  worked: number
  runs: number
  failures: number
  actor: string | null
  reason: string | null
  failure: RebuildFailure | null
  purpose: Purpose
  report: Report | null
  held: boolean
}

export const isOpen = ({ stage }: Pick<RebuildRecord, 'stage'>): boolean => stage !== 'live' && stage !== 'aborted'

/** The projections whose rebuild lock some session holds; the key is that of `tryRebuildLock`. */
const heldSql = `
  select p.name from annals.projection p join pg_locks l
    on l.locktype = 'advisory' and l.objsubid = 1 and l.granted
   and l.database = (select oid from pg_database where datname = current_database())
   and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('annals.rebuild.' || p.name, 0)`

function recordOf(row: Row): RebuildRecord {
  const { projection, version, state: stage, failure, runs, failures, actor } = row
  const events = Number(row.events)
  return {
    projection,
    version,
    outcome: outcomeOf(row),
    purpose: row.purpose,
    stage,
    events,
    startedAt: row.started_at,
    updatedAt: row.updated_at,
    workedSeconds: row.worked,
    perSecond: row.worked > 0 ? Math.round(events / row.worked) : null,
    runs,
    failures,
    actor,
    reason: row.reason ?? (isOpen({ stage }) ? (failure?.message ?? null) : null),
    verified: verifiedOf(row.report),
  }
}

const verifiedOf = (report: Report | null): RebuildRecord['verified'] =>
  report && {
    compared: report.compared ?? false,
    equal: report.equal === true,
    sampled: report.sampled ?? 0,
    recounted: report.recounted ?? { rows: 0, streams: 0 },
  }

function outcomeOf({ state, purpose, report, failure, held }: Row): RebuildOutcome {
  const end = endOf({ state, purpose, report })
  if (end !== 'unfinished') return ends[end]
  if (held) return 'running'
  if (!failure) return 'died'
  if (failure.error === 'NotEqual') return 'differs'
  return isInterruption(failure) ? 'interrupted' : 'failed'
}

const ends = {
  swapped: 'live',
  aborted: 'aborted',
  'verified-equal': 'verified',
  'verified-differs': 'differs',
} as const satisfies Record<string, RebuildOutcome>

const columns = `projection, version, state, events, started_at, updated_at, runs, failures, actor, reason, failure, purpose, report,
  extract(epoch from worked)::float8 as worked, projection in (select name from held) as held`

/** Rebuilds that were ever begun, newest first. */
export async function rebuildHistory(
  pool: Pool,
  { projection, limit }: { projection?: string | undefined; limit: number },
): Promise<RebuildRecord[]> {
  const { rows } = await pool.query<Row>(
    `with held as materialized (${heldSql})
     select ${columns} from annals.rebuild where $1::text is null or projection = $1
     order by started_at desc, id desc limit $2`,
    [projection ?? null, limit],
  )
  return rows.map(recordOf)
}

/** The rebuild of each projection that is under way or was the last, those that have one. */
export async function lastRebuilds(pool: Pool): Promise<RebuildRecord[]> {
  const { rows } = await pool.query<Row>(
    `with held as materialized (${heldSql})
     select distinct on (projection) ${columns} from annals.rebuild order by projection, started_at desc, id desc`,
  )
  return rows.map(recordOf)
}

/** Over all rebuilds of a projection. */
export interface RebuildTotals {
  projection: string
  failures: number
  /** When one went live last, ISO 8601. */
  succeededAt: string | null
}

export async function rebuildTotals(pool: Pool): Promise<RebuildTotals[]> {
  const { rows } = await pool.query<{ projection: string; failures: bigint; succeeded_at: string | null }>(
    `select projection, sum(failures) as failures, max(updated_at) filter (where state = 'live') as succeeded_at
     from annals.rebuild group by projection`,
  )
  return rows.map(({ projection, failures, succeeded_at }) => ({
    projection,
    failures: Number(failures),
    succeededAt: succeeded_at,
  }))
}
