import { decodeConsistencyToken, placeOf, type ConsistencyPoint } from '@annals/contracts'
import { pause } from '@annals/platform/backoff'
import { HttpProblem } from '@annals/platform/http'
import type { Projection } from '../engine/projection'
import type { ReadModels } from './read-models'

export interface ConsistencyWait {
  /**
   * Waits until the read models have seen what the token names.
   * @throws HttpProblem `read-model-behind` after the wait, `invalid-consistency-token`, `overloaded`.
   */
  reach(token: string, projections: readonly Projection[]): Promise<void>
}

interface Waiter {
  point: ConsistencyPoint
  topic: string
  partition: number
  projections: readonly Projection[]
  deadline: number
  resolve(reached: boolean): void
  reject(error: unknown): void
}

/** Between two looks at the checkpoints, in ms: half of it is what waiting costs on average. */
const lookEveryMs = 10
/** Requests that wait at the same time: with 2 s each, more would mean that the projector is far behind. */
const waitersMax = 2_000

/** @param waitMs of one request at most; then the client is told when to ask again. */
export function createConsistencyWait({ pool, tables }: ReadModels, waitMs = 2_000): ConsistencyWait {
  const waiters = new Set<Waiter>()
  let looking = false

  /** One query for all who wait, however many they are. */
  async function positions(): Promise<Map<string, bigint>> {
    const wanted = new Set([...waiters].flatMap(({ projections }) => projections))
    const parts = [...wanted].map(
      (projection) =>
        `select '${projection.name}' as name, topic, partition, position from ${tables(projection).checkpoint}`,
    )
    const { rows } = await pool.query<{ name: string; topic: string; partition: number; position: bigint }>(
      parts.join(' union all '),
    )
    return new Map(rows.map(({ name, topic, partition, position }) => [`${name}|${topic}/${partition}`, position]))
  }

  const isReached = ({ point, topic, partition, projections }: Waiter, found: Map<string, bigint>) =>
    projections.every(({ name }) => (found.get(`${name}|${topic}/${partition}`) ?? -1n) >= point.position)

  async function look(): Promise<void> {
    looking = true
    try {
      while (waiters.size > 0) {
        // Who comes while the query runs is answered by the next one.
        const asked = [...waiters]
        const found = await positions()
        for (const waiter of asked) {
          const reached = isReached(waiter, found)
          if (!reached && Date.now() < waiter.deadline) continue
          waiters.delete(waiter)
          waiter.resolve(reached)
        }
        if (waiters.size > 0) await pause(lookEveryMs)
      }
    } catch (error) {
      for (const waiter of waiters) waiter.reject(error)
      waiters.clear()
    } finally {
      looking = false
    }
  }

  return {
    async reach(token, projections) {
      const point = decodeConsistencyToken(token)
      if (!point) throw new HttpProblem('invalid-consistency-token')
      const place = placeOf(point.stream)
      // What travels on no topic that these read models are fed from can not change them.
      const concerned = projections.filter(({ topics }) => place && topics.includes(place.topic))
      if (!place || concerned.length === 0) return
      if (waiters.size >= waitersMax) throw new HttpProblem('overloaded', { headers: { 'Retry-After': '1' } })
      const reached = await new Promise<boolean>((resolve, reject) => {
        waiters.add({ point, ...place, projections: concerned, deadline: Date.now() + waitMs, resolve, reject })
        if (!looking) void look()
      })
      if (!reached) {
        throw new HttpProblem('read-model-behind', {
          detail:
            'The change is recorded but not visible here yet. Ask again, or without the token to see what is there.',
          headers: { 'Retry-After': '1' },
        })
      }
    },
  }
}
