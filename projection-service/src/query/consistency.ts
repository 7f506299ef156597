import { decodeConsistencyToken, placeOf, shortLogId, type ConsistencyPoint } from '@annals/contracts'
import { HttpProblem } from '@annals/platform/api'
import type { SignedText } from '@annals/platform/signed-text'
import type { Projection } from '../engine/definition/projection'
import type { Tables } from '../engine/tables/generation'
import { appliedSql, laneTables } from '../engine/tables/lane-table'
import { prepared } from '../engine/tables/prepared'
import type { LogState } from './log-state'
import { parkedProblem } from './parked'
import { untold, type Progress } from './progress'
import type { ReadModels } from './read-models'

export interface ConsistencyWait {
  /**
   * Waits until the read models have seen what the token names.
   * @throws HttpProblem `read-model-behind` after the wait; `read-model-parked` at once when it waits behind an event that could not
   *   be applied; `read-model-of-another-log`; `invalid-consistency-token`; `overloaded`, when too many wait, or too many of this
   *   principal's requests.
   */
  reach(token: string, projections: readonly Projection[], principal: string): Promise<void>
}

interface Waiter {
  point: ConsistencyPoint
  topic: string
  partition: number
  /** Those that have not reached the point yet. */
  projections: Set<Projection>
  deadline: number
  resolve(seen: 'reached' | 'behind'): void
  reject(error: unknown): void
}

/** What a read model has seen of one stream. */
interface Seen {
  /** -1: nothing. */
  revision: number
  /** The stream stands still at an event that could not be applied. */
  blocked: boolean
  /** Log position that its partition has reached. */
  position: bigint
}

interface SeenRow {
  projection: string
  stream: string
  revision: bigint
  blocked: boolean
  position: bigint
}

/** Of live read models, all in one statement. Where one is not in the lane, the lane's revisions are not its own. */
const seenLive = prepared(
  `select p.projection, w.stream, case when p.joined then coalesce(s.revision, -1) else -1 end as revision,
     b.stream is not null as blocked,
     coalesce(case when p.joined then ${appliedSql} else p.position end, -1) as position
   from unnest($1::text[], $2::text[], $3::integer[]) as w (stream, topic, partition)
   join ${laneTables.place} p on p.projection = any($4::text[]) and p.topic = w.topic and p.partition = w.partition
   left join ${laneTables.checkpoint} l on l.topic = w.topic and l.partition = w.partition
   left join ${laneTables.stream} s on s.stream = w.stream
   left join ${laneTables.blocked} b on b.stream = w.stream and b.projection = p.projection`,
)

/** Of a snapshot, which has tables of its own. */
const seenInSql = ({ name }: Projection, { stream, checkpoint }: Tables): string =>
  `select '${name}' as projection, w.stream, coalesce(s.revision, -1) as revision, coalesce(s.blocked, false) as blocked,
     coalesce(c.position, -1) as position
   from unnest($1::text[], $2::text[], $3::integer[]) as w (stream, topic, partition)
   left join ${stream} s on s.stream = w.stream
   left join ${checkpoint} c on c.topic = w.topic and c.partition = w.partition`

/** Between two looks at the read models, in ms, when nobody tells that one has moved. */
const lookEveryMs = 100
/** Requests that wait at the same time: with 2 s each, more would mean that the projector is far behind. */
const waitersMax = 2_000
/** Of one principal: nobody can take the others' places with tokens that name what never comes. */
const waitersOfOneMax = 20

/**
 * The query waits for the stream's own revision. The projector judges by it, and it stays correct on a log or a topic
 * that was set back, where positions do not.
 * @param signed opens tokens: one that the command API has not signed is not waited for.
 * @param progress wakes those who wait when a read model has moved.
 * @param waitMs of one request at most; then the client is told when to ask again.
 */
export function createConsistencyWait(
  models: ReadModels,
  logState: LogState,
  signed: Pick<SignedText, 'open'>,
  progress: Pick<Progress, 'next'> = untold,
  waitMs = 2_000,
): ConsistencyWait {
  const { pool, tables } = models
  const waiters = new Set<Waiter>()
  /** By principal. */
  const waiting = new Map<string, number>()
  let looking = false

  /**
   * What the read models have seen of the streams that are waited for, by read model and stream. Of a read model that reads a stream and
   * that no projector has made yet there is nothing.
   */
  async function seenBy(
    asked: readonly Waiter[],
    projections: readonly Projection[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, Seen>>> {
    const wanted = new Map(asked.map((waiter) => [waiter.point.stream, waiter]))
    const places = [
      [...wanted.keys()],
      [...wanted.values()].map(({ topic }) => topic),
      [...wanted.values()].map(({ partition }) => partition),
    ]
    const answers =
      models.generation === 'live'
        ? [await pool.query<SeenRow>({ ...seenLive, values: [...places, projections.map(({ name }) => name)] })]
        : await Promise.all(projections.map((one) => pool.query<SeenRow>(seenInSql(one, tables(one)), places)))
    const seen = new Map<string, Map<string, Seen>>(projections.map(({ name }) => [name, new Map()]))
    for (const { projection, stream, revision, blocked, position } of answers.flatMap(({ rows }) => rows))
      seen.get(projection)!.set(stream, { revision: Number(revision), blocked, position })
    return seen
  }

  /** A token of the former release names no revision: its position has to do. */
  const hasReached = ({ revision, position }: ConsistencyPoint, seen: Seen): boolean =>
    revision === undefined ? seen.position >= position : seen.revision >= revision
  const end = (waiter: Waiter, error: unknown) => {
    if (waiters.delete(waiter)) waiter.reject(error)
  }

  /** @throws HttpProblem for which the wait ends. */
  async function lookFor(waiter: Waiter, seen: Awaited<ReturnType<typeof seenBy>>): Promise<void> {
    const { point, projections } = waiter
    for (const projection of [...projections]) {
      const found = seen.get(projection.name)?.get(point.stream)
      if (!found) throw new HttpProblem('read-model-rebuilding', { headers: { 'Retry-After': '2' } })
      const problem = found.blocked && (await parkedProblem(models, projection, point.stream, { upTo: point.revision }))
      if (problem) throw problem
      if (hasReached(point, found)) projections.delete(projection)
    }
  }

  async function lookAt(asked: readonly Waiter[]): Promise<void> {
    const wanted = [...new Set(asked.flatMap(({ projections }) => [...projections]))]
    try {
      const seen = await seenBy(asked, wanted)
      for (const waiter of asked) await lookFor(waiter, seen).catch((error: unknown) => end(waiter, error))
    } catch (error) {
      for (const waiter of asked) end(waiter, error)
    }
  }

  async function look(): Promise<void> {
    looking = true
    while (waiters.size > 0) {
      // What is committed from here on wakes the next look.
      const woken = progress.next(lookEveryMs)
      // Who comes while the query runs is answered by the next one.
      const asked = [...waiters]
      await lookAt(asked)
      for (const waiter of asked) {
        const reached = waiter.projections.size === 0
        if (!waiters.has(waiter) || (!reached && Date.now() < waiter.deadline)) continue
        waiters.delete(waiter)
        waiter.resolve(reached ? 'reached' : 'behind')
      }
      // Who has come meanwhile has not been looked for yet.
      if ([...waiters].every((waiter) => asked.includes(waiter)) && waiters.size > 0) await woken
    }
    looking = false
  }

  async function assertSameLog({ log }: ConsistencyPoint): Promise<void> {
    const { identity, refusal } = await logState.read()
    if (refusal === undefined && (log === undefined || identity === undefined || log === shortLogId(identity))) return
    throw new HttpProblem('read-model-of-another-log', {
      detail:
        'The event log was restored or replaced, and the read models have not been brought in line with it. The change is recorded; ' +
        'an operator has to act before it can be shown.',
      headers: { 'Retry-After': '30' },
    })
  }

  /** Runs a wait as one of those that a principal may have at a time. @throws HttpProblem `overloaded`. */
  async function within<T>(principal: string, wait: () => Promise<T>): Promise<T> {
    const count = waiting.get(principal) ?? 0
    if (count >= waitersOfOneMax || waiters.size >= waitersMax)
      throw new HttpProblem('overloaded', { headers: { 'Retry-After': '1' } })
    waiting.set(principal, count + 1)
    try {
      return await wait()
    } finally {
      const left = waiting.get(principal)! - 1
      if (left === 0) waiting.delete(principal)
      else waiting.set(principal, left)
    }
  }

  const seenOf = (point: ConsistencyPoint, place: { topic: string; partition: number }, asked: readonly Projection[]) =>
    new Promise<'reached' | 'behind'>((resolve, reject) => {
      const deadline = Date.now() + waitMs
      waiters.add({ point, ...place, projections: new Set(asked), deadline, resolve, reject })
      if (!looking) void look()
    })

  return {
    async reach(token, projections, principal) {
      const said = signed.open(token)
      const point = said === undefined ? undefined : decodeConsistencyToken(said)
      if (!point) throw new HttpProblem('invalid-consistency-token')
      const place = placeOf(point.stream)
      // What travels on no topic that these read models are fed from can not change them.
      const concerned = projections.filter(({ topics }) => place && topics.includes(place.topic))
      if (!place || concerned.length === 0) return
      await assertSameLog(point)
      const seen = await within(principal, () => seenOf(point, place, concerned))
      if (seen === 'reached') return
      throw new HttpProblem('read-model-behind', {
        detail:
          'The change is recorded but not visible here yet. Ask again, or without the token to see what is there.',
        headers: { 'Retry-After': '1' },
      })
    },
  }
}
