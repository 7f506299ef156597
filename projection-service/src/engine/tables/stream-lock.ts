import { placeOf } from '@annals/contracts'
import type { PoolClient } from '@annals/platform/postgres'
import { appliedSql, laneTables, lockLane } from './lane-table'
import type { Projection } from '../definition/projection'
import { registered, shareGenerationSql } from './registry'

/** What was asked for can not be done as things stand; the message tells what can. */
export class NotPossible extends Error {
  override readonly name = 'NotPossible'
}

/**
 * Keeps the projector off a stream's partition until the transaction ends: as the projector itself does, by the lane's
 * checkpoint, because it decides about streams and rows that it has read without locking them.
 * @returns the partition, and the log position up to which the read model has seen it.
 * @throws NotPossible when the read model does not read this stream, is not installed, is at another version, or catches up.
 */
export async function lockStreamsPartition(
  client: PoolClient,
  projection: Projection,
  stream: string,
): Promise<{ partition: number; position: bigint }> {
  const { name, topics, version } = projection
  const place = placeOf(stream)
  if (!place || !topics.includes(place.topic)) {
    throw new NotPossible(`${name} does not read ${stream}: it reads ${topics.join(', ')}`)
  }
  await client.query(shareGenerationSql(name))
  const live = await registered(client, name)
  if (live?.version !== version) {
    throw new NotPossible(
      live
        ? `version ${live.version} of ${name} is live, this release knows version ${version}`
        : `${name} is not installed yet`,
    )
  }
  const [lane] = await lockLane(client, [place])
  const { rows } = await client.query<{ joined: boolean; position: bigint }>(
    `select p.joined, ${appliedSql} as position
     from ${laneTables.place} p join ${laneTables.checkpoint} l using (topic, partition)
     where p.projection = $1 and p.topic = $2 and p.partition = $3`,
    [name, place.topic, place.partition],
  )
  const [found] = rows
  if (!lane || !found) throw new NotPossible(`${name} has no place in ${place.topic}/${place.partition}`)
  if (!found.joined)
    throw new NotPossible(
      `${name} has left the lane in ${place.topic}/${place.partition} and catches up by itself: try again when it has`,
    )
  return { partition: place.partition, position: found.position }
}
