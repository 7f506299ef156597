import { placeOf } from '@annals/contracts'
import { lockCheckpoint } from '@annals/platform/checkpoint'
import type { PoolClient } from '@annals/platform/postgres'
import { tablesOf } from './generation'
import type { Projection } from '../definition/projection'
import { registered, shareGenerationSql } from './registry'

/** What was asked for can not be done as things stand; the message tells what can. */
export class NotPossible extends Error {
  override readonly name = 'NotPossible'
}

/**
 * Keeps the projector off a stream's partition until the transaction ends: as the projector itself does, by the checkpoint,
 * because it decides about streams and rows that it has read without locking them.
 * @returns the partition, and the log position up to which the read model has seen it.
 * @throws NotPossible when the read model does not read this stream, is not installed, or is at another version.
 */
export async function lockStreamsPartition(
  client: PoolClient,
  projection: Projection,
  stream: string,
): Promise<{ partition: number; position: bigint }> {
  const place = placeOf(stream)
  if (!place || !projection.topics.includes(place.topic)) {
    throw new NotPossible(`${projection.name} does not read ${stream}: it reads ${projection.topics.join(', ')}`)
  }
  await client.query(shareGenerationSql(projection.name))
  const live = await registered(client, projection.name)
  if (live?.version !== projection.version) {
    throw new NotPossible(
      live
        ? `version ${live.version} of ${projection.name} is live, this release knows version ${projection.version}`
        : `${projection.name} is not installed yet`,
    )
  }
  const checkpoint = await lockCheckpoint(client, tablesOf(projection, 'live').checkpoint, place)
  if (!checkpoint) throw new NotPossible(`${projection.name} has no checkpoint for ${place.topic}/${place.partition}`)
  return { partition: place.partition, position: checkpoint.position }
}
