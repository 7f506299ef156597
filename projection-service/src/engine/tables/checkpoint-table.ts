import {
  checkpointColumns,
  checkpointOf,
  moveCheckpointSql,
  movingValues,
  type Checkpoint,
  type CheckpointRow,
  type ReadingPlace,
} from '@annals/platform/checkpoint'
import type { TopicPartition } from '@annals/platform/kafka'
import type { PoolClient } from '@annals/platform/postgres'
import type { Projection } from '../definition/projection'
import { tablesOf } from './generation'
import { prepared } from './prepared'

/** The live read model's checkpoints, as the projector's transactions hold and move them. */
export function liveCheckpoint(projection: Projection) {
  const { name } = projection
  const table = tablesOf(projection, 'live').checkpoint
  const lockSql = prepared(`select p.version, ${checkpointColumns('c')} from annals.projection p, ${table} c
    where p.name = $1 and c.topic = $2 and c.partition = $3 for update of c`)
  const moveSql = prepared(moveCheckpointSql(table, ['position_event = coalesce($10, position_event)']))
  return {
    /** Takes a partition's checkpoint for this transaction. @returns it, and the version of the read model that is live. */
    async lock(
      client: PoolClient,
      { topic, partition }: TopicPartition,
    ): Promise<{ version: number; place: Checkpoint }> {
      const { rows } = await client.query<CheckpointRow & { version: number }>({
        ...lockSql,
        values: [name, topic, partition],
      })
      if (!rows[0]) throw new Error(`projection ${name} has no checkpoint for ${topic}/${partition}`)
      return { version: rows[0].version, place: checkpointOf(rows[0]) }
    },

    /**
     * Moves it.
     * @param furthestId of the event at `to.position`; `undefined`: the one that was known.
     * @returns false when another instance has moved it: nothing of this transaction may be committed.
     */
    async move(
      client: PoolClient,
      place: TopicPartition,
      from: ReadingPlace,
      to: Checkpoint,
      furthestId: string | undefined,
    ): Promise<boolean> {
      const values = [...movingValues(place, from, to), furthestId ?? null]
      return (await client.query({ ...moveSql, values })).rowCount === 1
    },
  }
}
