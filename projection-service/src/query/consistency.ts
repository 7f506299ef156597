import { decodeConsistencyToken, placeOf, shortLogId, type ConsistencyPoint } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import { HttpProblem } from '@annals/platform/api'
import type { SignedText } from '@annals/platform/signed-text'
import type { Projection } from '../engine/definition/projection'
import type { LogState } from './log-state'
import { parkedProblem } from './parked'
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
  /** Revision of the event at which the stream stands still; `undefined`: none. */
  parkedAt: number | undefined
  /** Log position that its partition has reached. */
  position: bigint
}

/** Between two looks at the read models, in ms: half of it is what waiting costs on average. */
const lookEveryMs = 10
/** Requests that wait at the same time: with 2 s each, more would mean that the projector is far behind. */
const waitersMax = 2_000
/** Of one principal: nobody can take the others' places with tokens that name what never comes. */
const waitersOfOneMax = 20

/**
 * The query waits for the stream's own revision. The projector judges by it, and it stays correct on a log or a topic
 * that was set back, where positions do not.
 * @param signed opens tokens: one that the command API has not signed is not waited for.
 * @param waitMs of one request at most; then the client is told when to ask again.
 */
export function createConsistencyWait(
  models: ReadModels,
  logState: LogState,
  signed: Pick<SignedText, 'open'>,
  waitMs = 2_000,
): ConsistencyWait {
  const { pool, tables } = models
  const waiters = new Set<Waiter>()
  /** By principal. */
  const waiting = new Map<string, number>()
  let looking = false

  /** What one read model has seen of all streams that are waited for in it, by stream. */
  async function seenBy(projection: Projection, asked: readonly Waiter[]): Promise<Map<string, Seen>> {
    const { stream, parked, checkpoint } = tables(projection)
    const wanted = new Map(asked.map((waiter) => [waiter.point.stream, waiter]))
    const { rows } = await pool.query<{ stream: string; revision: bigint; parked_at: bigint | null; position: bigint }>(
      `select w.stream, coalesce(s.revision, -1) as revision, coalesce(c.position, -1) as position,
         case when s.blocked then (select min(p.revision) from ${parked} p where p.stream = w.stream) end as parked_at
       from unnest($1::text[], $2::text[], $3::integer[]) as w (stream, topic, partition)
       left join ${stream} s on s.stream = w.stream
       left join ${checkpoint} c on c.topic = w.topic and c.partition = w.partition`,
      [
        [...wanted.keys()],
        [...wanted.values()].map(({ topic }) => topic),
        [...wanted.values()].map(({ partition }) => partition),
      ],
    )
    return new Map(
      rows.map(({ stream: name, revision, parked_at, position }) => [
        name,
        { revision: Number(revision), parkedAt: parked_at === null ? undefined : Number(parked_at), position },
      ]),
    )
  }

  /** A token of the former release names no revision: its position has to do. */
  const hasReached = ({ revision, position }: ConsistencyPoint, seen: Seen): boolean =>
    revision === undefined ? seen.position >= position : seen.revision >= revision
  const isParked = ({ revision }: ConsistencyPoint, { parkedAt }: Seen): boolean =>
    parkedAt !== undefined && (revision === undefined || parkedAt <= revision)

  /** A read model that can not be asked fails those who wait for it, and nobody else. */
  async function lookAt(projection: Projection, asked: readonly Waiter[]): Promise<void> {
    const concerned = asked.filter((waiter) => waiter.projections.has(projection))
    if (concerned.length === 0) return
    const end = (waiter: Waiter, error: unknown) => {
      if (waiters.delete(waiter)) waiter.reject(error)
    }
    try {
      const seen = await seenBy(projection, concerned)
      for (const waiter of concerned) {
        const found = seen.get(waiter.point.stream)!
        const problem = isParked(waiter.point, found) && (await parkedProblem(models, projection, waiter.point.stream))
        if (problem) end(waiter, problem)
        else if (hasReached(waiter.point, found)) waiter.projections.delete(projection)
      }
    } catch (error) {
      for (const waiter of concerned) end(waiter, error)
    }
  }

  async function look(): Promise<void> {
    looking = true
    while (waiters.size > 0) {
      // Who comes while the queries run is answered by the next ones.
      const asked = [...waiters]
      const wanted = new Set(asked.flatMap(({ projections }) => [...projections]))
      await Promise.all([...wanted].map((projection) => lookAt(projection, asked)))
      for (const waiter of asked) {
        const reached = waiter.projections.size === 0
        if (!waiters.has(waiter) || (!reached && Date.now() < waiter.deadline)) continue
        waiters.delete(waiter)
        waiter.resolve(reached ? 'reached' : 'behind')
      }
      if (waiters.size > 0) await pause(lookEveryMs)
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
