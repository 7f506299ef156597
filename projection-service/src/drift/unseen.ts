import { placeOf } from '@annals/contracts'
import { loadCheckpoints } from '@annals/platform/checkpoint'
import type { Pool } from '@annals/platform/postgres'
import { tablesOf, type Generation } from '../engine/tables/generation'
import type { Projection } from '../engine/definition/projection'
import { loadStreams } from '../engine/tables/stream-table'
import type { Mention } from './log-walk'
import { inGeneration } from './stream-comparison'

/**
 * Streams of which a read model should have seen more than it has. An event of the log lies before its partition's
 * checkpoint, but the read model lacks the stream, or has an earlier revision of it. Two queries, however many are
 * asked about.
 */
export async function unseenStreams(
  projection: Projection,
  generation: Generation,
  mentions: readonly Mention[],
  pool: Pool,
): Promise<string[]> {
  const own = mentions.flatMap((mention) => {
    const place = placeOf(mention.stream)
    return place && projection.topics.includes(place.topic) ? [{ ...mention, place }] : []
  })
  if (own.length === 0) return []
  const tables = tablesOf(projection, generation)
  const found = await inGeneration(pool, projection, generation, async (client) => {
    const places = [...new Map(own.map(({ place }) => [`${place.topic}/${place.partition}`, place])).values()]
    // First of all: whatever lies before it then has been written already.
    const checkpoints = await loadCheckpoints(client, tables.checkpoint, places)
    const positions = new Map(
      places.map(({ topic, partition }, i) => [`${topic}/${partition}`, checkpoints[i]?.position ?? -1n]),
    )
    const streams = await loadStreams(client, tables.stream, [...new Set(own.map(({ stream }) => stream))])
    return own.filter(
      ({ stream, revision, position, place }) =>
        position <= positions.get(`${place.topic}/${place.partition}`)! &&
        revision > (streams.get(stream)?.revision ?? -1),
    )
  })
  return found === 'other-version' ? [] : [...new Set(found.map(({ stream }) => stream))]
}
