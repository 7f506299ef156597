import type { OpenAll } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import { acceptLog } from '@annals/platform/log-watch'
import type { Logger } from '@annals/platform/log'
import { longQuery, type Pool, type PoolClient } from '@annals/platform/postgres'
import { indexStatements, tablesOf } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { installProjection, tryRebuildLock } from '../../engine/tables/registry'
import { logStateTable } from '../../engine/tables/log-state-table'
import { paceOf } from '../fold/pace'
import { Builder, type Limits } from './builder'
import { passOverLog, type Pass } from './log-pass'
import { recordingFailure } from './rebuild-run'
import { endVerification, enterStage, openRebuild, type Rebuild, type RebuildStage } from './rebuild-state'
import { swap } from './swap'
import { isEmpty, isUnverified, positionsOf, verify, type Verification } from './verify'

/** Another process is rebuilding this projection. */
export class RebuildRunning extends Error {
  override readonly name = 'RebuildRunning'
}

/** The rebuilt read model does not equal the live one: nothing was swapped. */
export class NotEqual extends Error {
  override readonly name = 'NotEqual'
  constructor(
    readonly projection: string,
    readonly verification: Verification,
    /** What was found of each, when several were only verified. */
    readonly verified: readonly Pick<Rebuilt, 'projection' | 'verification'>[] = [{ projection, verification }],
  ) {
    super(`${projection}: rebuilt and live differ`)
  }
}

/** Nothing has spoken for what was rebuilt: there was nothing to compare with, and nothing could be counted again. */
export class Unverified extends Error {
  override readonly name = 'Unverified'
  constructor(
    readonly projection: string,
    readonly verification: Verification,
  ) {
    super(
      `${projection}: no check speaks for what was rebuilt. There is no live read model of this version to compare with, and no ` +
        'row or stream could be recounted (parked streams cannot). Nothing was swapped. ' +
        `See \`replay status\`. To swap without a check: \`replay ${projection} --accept-unverified\``,
    )
  }
}

/** How far one read of the log has come. */
export interface RebuildStep {
  /** Log position reached. */
  position: bigint
  /** Where the pass will end. */
  end: bigint
  /** Gone through since the call began. */
  events: number
  /** When the log recorded the last of them, epoch ms. */
  recordedAt: number
}

export interface RebuildObserver {
  /** `verified` ends one that was only verified, with what was found; a rebuild that may be swapped ends with `live`. */
  stage(projection: string, stage: RebuildStage | 'verified', facts?: Record<string, unknown>): void
  /** After every chunk of the log. */
  progress(step: RebuildStep): void
}

export interface RebuildDependencies {
  pool: Pool
  log: EventLog
  openAll: OpenAll
  logger: Logger
  observer: RebuildObserver
  /** Ends the work at the next chunk; what is done is kept, and the next call goes on from there. */
  signal: AbortSignal
  throttle?: number | undefined
  /** Throws away what an earlier, unfinished rebuild has done. */
  restart?: boolean
  /** The shadow is compared with live as before a swap, that is recorded, and the shadow dropped. */
  verifyOnly?: boolean
  /** It is swapped in although live differs, when all that was counted a second time agrees with it. */
  acceptDifferences?: boolean
  /** A shadow that nothing speaks for is taken for a good one. */
  acceptUnverified?: boolean
  /**
   * The log is taken as it is, although live has applied what it lacks: what was folded before is thrown away, nothing is compared with
   * live, and offsets begin again. The read models belong to this log from then on.
   */
  acceptLog?: boolean
  /** After the swap topics are read from their first record again, whatever live had read of them. */
  fromFirstOffset?: boolean
  /** Who is recorded as the one who runs it. */
  actor?: string
}

export interface Rebuilt {
  projection: string
  version: number
  events: bigint
  verification: Verification
  /** `false`: it was only verified. */
  swapped: boolean
  /** How long projector transactions of this projection had to wait, in ms. */
  lockedMs: number
}

interface Job {
  projection: Projection
  rebuild: Rebuild
  builder: Builder
  standing: Standing
}

/**
 * How the live read model stands beside the shadow. `comparable`: the same version; the shadow stays at its positions, and both
 * are compared. `behind`: nothing was ever applied to it (the shadow is its first build, to the end of the log), or less than to
 * the shadow of an earlier, unfinished call. `other-version`: rows of another shape. `other-log`: made from a log that is not there any
 * more.
 */
type Standing = 'comparable' | 'behind' | 'other-version' | 'other-log'

/** A round of catching up that finds no more events is the last one before verification. */
const caughtUpEvents = 1_000
const catchUpRoundsMax = 20

/**
 * Rebuilds read models beside the live ones and swaps them in, one read of the log for all of them. Killed at any point,
 * the next call goes on where it was. With `verifyOnly` all are verified, none is swapped.
 * @throws RebuildRunning, RebuildUnfinished, NotEqual, Unverified, RebuildStopped, SwapBusy, LogBehind
 */
export function rebuildAll(projections: readonly Projection[], deps: RebuildDependencies): Promise<Rebuilt[]> {
  return excludingRebuilds(deps.pool, projections, (lost) =>
    recordingFailure(deps.pool, projections, lost, () =>
      rebuildLocked(projections, { ...deps, signal: AbortSignal.any([deps.signal, lost]) }),
    ),
  )
}

/**
 * Runs `work` while nobody else rebuilds, rolls back or drops any of these projections.
 * @param work is handed a signal that aborts when a lock was lost.
 * @throws RebuildRunning
 */
export async function excludingRebuilds<T>(
  pool: Pool,
  projections: readonly Projection[],
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const locks: PoolClient[] = []
  const lost = new AbortController()
  try {
    for (const projection of projections) {
      const client = await takeLock(pool, projection)
      locks.push(client)
      client.once('error', (error) => {
        lost.abort(new Error(`the connection that holds the lock of ${projection.name} is lost`, { cause: error }))
      })
    }
    return await work(lost.signal)
  } finally {
    for (const client of locks) {
      // Said aloud: the server may notice a closed connection only after the next rebuild has asked.
      await client.query('select pg_advisory_unlock_all()').catch(() => undefined)
      client.release(true)
    }
  }
}

async function takeLock(pool: Pool, { name }: Projection): Promise<PoolClient> {
  const client = await pool.connect()
  try {
    if (await tryRebuildLock(client, name)) return client
  } catch (error) {
    client.release(true)
    throw error
  }
  client.release()
  throw new RebuildRunning(`${name} is being rebuilt by another process`)
}

async function rebuildLocked(projections: readonly Projection[], deps: RebuildDependencies): Promise<Rebuilt[]> {
  const { pool, observer } = deps
  const identity = await deps.log.identity()
  const jobs: Job[] = []
  for (const projection of projections) jobs.push(await prepare(projection, deps, projections.length))

  let events = 0
  let end = 0n
  const pass: Pass = {
    ...deps,
    onChunk: (last, count) => {
      events += count
      observer.progress({ position: last.recorded.position, end, events, recordedAt: last.at })
    },
  }
  const toLive = async (work: readonly Job[]) =>
    Promise.all(
      work.map(async ({ builder, projection, standing }) => ({
        builder,
        limits: standing === 'comparable' ? await positionsOf(pool, projection, 'live') : undefined,
      })),
    )

  const round = async (work: readonly { builder: Builder; limits: Limits }[]) => {
    end = await endOfPass(work, deps.log)
    try {
      await passOverLog(work, pass)
    } finally {
      // An interruption keeps what was folded.
      for (const { builder } of work) await builder.flush()
    }
  }

  await stageAll(jobs, 'folding', deps)
  await round(await toLive(jobs))
  await stageAll(jobs, 'catching-up', deps)
  for (let rounds = 0; rounds < catchUpRoundsMax; rounds++) {
    const before = events
    await round(await toLive(jobs))
    if (events - before <= caughtUpEvents) break
  }

  const done: Rebuilt[] = []
  for (const job of jobs) {
    const catchUp = (limits: Limits) => round([{ builder: job.builder, limits }])
    done.push(await (deps.verifyOnly ? finishVerification : finish)(job, deps, pass, catchUp))
  }
  const wrong = done.find(({ verification, swapped }) => !verification.equal && !swapped)
  if (wrong) throw new NotEqual(wrong.projection, wrong.verification, done)
  if (deps.acceptLog) await acceptLog(pool, logStateTable, identity)
  return done
}

async function prepare(projection: Projection, deps: RebuildDependencies, builders: number): Promise<Job> {
  const { pool, observer } = deps
  const { version } = await installProjection(pool, projection)
  const purpose = deps.verifyOnly ? 'verify' : 'rebuild'
  // A shadow of the former log is worth nothing.
  const restart = deps.acceptLog || deps.restart
  const rebuild = await openRebuild(pool, projection, purpose, restart, deps.actor)
  const builder = await Builder.open(projection, pool, rebuild, { builders, pace: paceOf(deps.throttle) })
  const standing = deps.acceptLog
    ? 'other-log'
    : version === projection.version
      ? await standingOf(pool, builder)
      : 'other-version'
  observer.stage(projection.name, 'prepared', {
    version: projection.version,
    live: version,
    ...(standing === 'behind' ? { firstBuild: true } : {}),
    ...(rebuild.resumed ? { resumedAfter: Number(rebuild.events) } : {}),
  })
  return { projection, rebuild, builder, standing }
}

async function standingOf(pool: Pool, { projection, reached }: Builder): Promise<Standing> {
  const live = await positionsOf(pool, projection, 'live')
  const isAhead = [...reached].some(([place, position]) => position > (live.get(place) ?? -1n))
  return isAhead || isEmpty(live) ? 'behind' : 'comparable'
}

async function stageAll(jobs: readonly Job[], stage: RebuildStage, { pool, observer }: RebuildDependencies) {
  for (const { projection, rebuild } of jobs) {
    await enterStage(pool, rebuild.id, stage)
    observer.stage(projection.name, stage)
  }
}

/** Where this pass will end, for the progress that is shown. */
async function endOfPass(work: readonly { limits: Limits }[], log: EventLog): Promise<bigint> {
  const ends = await Promise.all(
    work.map(async ({ limits }) => (limits ? [...limits.values()] : [(await log.head()) ?? 0n])),
  )
  return ends.flat().reduce((a, b) => (a > b ? a : b), 0n)
}

type Finish = (
  job: Job,
  deps: RebuildDependencies,
  pass: Pass,
  catchUp: (limits: Limits) => Promise<void>,
) => Promise<Rebuilt>

const finish: Finish = async (job, deps, pass, catchUp) => {
  const { projection, rebuild, builder, standing } = job
  const { pool, observer } = deps
  const { name, version } = projection
  const comparable = standing === 'comparable'
  const enter = async (stage: RebuildStage, facts?: Record<string, unknown>) => {
    await enterStage(pool, rebuild.id, stage, facts)
    observer.stage(name, stage, facts)
  }
  await enter('indexing')
  for (const sql of indexStatements(projection, 'next')) await longQuery(pool, sql)
  await analyze(pool, projection)

  await enter('verifying')
  const verification = await verify(builder, comparable, pool, pass, catchUp)
  if (!verification.equal && !(deps.acceptDifferences && verification.agrees)) {
    await enter('verifying', reportOf(verification))
    throw new NotEqual(name, verification)
  }
  refuseUnverified(job, deps, verification)

  pass.signal.throwIfAborted()
  await enter('swapping', reportOf(verification))
  const { acceptLog = false, fromFirstOffset = false } = deps
  const lockedMs = await swap({ pool, projection, rebuildId: rebuild.id, catchUp, acceptLog, fromFirstOffset })
  observer.stage(name, 'live', { version, lockedMs: Math.round(lockedMs) })
  return { projection: name, version, events: builder.events, verification, swapped: true, lockedMs }
}

const finishVerification: Finish = async (job, deps, pass, catchUp) => {
  const { projection, rebuild, builder, standing } = job
  const { pool, observer } = deps
  const { name, version } = projection
  await analyze(pool, projection)
  await enterStage(pool, rebuild.id, 'verifying')
  observer.stage(name, 'verifying')
  const verification = await verify(builder, standing === 'comparable', pool, pass, catchUp)
  if (verification.equal) refuseUnverified(job, deps, verification)
  pass.signal.throwIfAborted()
  const report = reportOf(verification)
  await endVerification(pool, name, rebuild.id, report)
  observer.stage(name, 'verified', report)
  return { projection: name, version, events: builder.events, verification, swapped: false, lockedMs: 0 }
}

function refuseUnverified(
  { projection: { name }, builder }: Job,
  { acceptUnverified, logger }: RebuildDependencies,
  verification: Verification,
): void {
  if (!isUnverified(builder, verification)) return
  if (!acceptUnverified) throw new Unverified(name, verification)
  logger.warn({ projection: name }, 'no check speaks for what was rebuilt; accepted by the operator')
}

/** The planner must know the new tables before the first query meets them. */
async function analyze(pool: Pool, projection: Projection): Promise<void> {
  const { rows, stream } = tablesOf(projection, 'next')
  await longQuery(pool, `analyze ${rows}, ${stream}`)
}

/** What is kept of a verification: JSON knows no bigint. */
const reportOf = (verification: Verification): Record<string, unknown> =>
  JSON.parse(JSON.stringify(verification, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)))
