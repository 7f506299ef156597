import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { PoolClient } from '@annals/platform/postgres'
import { from as copyFrom } from 'pg-copy-streams'
import { copyLine } from '../definition/columns'
import { prepared } from './prepared'
import type { ParkedEvent, StreamState } from '../fold/fold'

/** @param table schema-qualified stream table. */
export async function loadStreams(
  client: PoolClient,
  table: string,
  streams: readonly string[],
): Promise<Map<string, StreamState>> {
  if (streams.length === 0) return new Map()
  const { rows } = await client.query<{ stream: string; revision: bigint; blocked: boolean }>({
    ...prepared(`select stream, revision, blocked from ${table} where stream = any($1::text[])`),
    values: [streams],
  })
  return new Map(rows.map(({ stream, revision, blocked }) => [stream, { revision: Number(revision), blocked }]))
}

type Streams = ReadonlyMap<string, StreamState>

export async function upsertStreams(client: PoolClient, table: string, streams: Streams): Promise<void> {
  if (streams.size === 0) return
  const states = [...streams.values()]
  await client.query({
    ...prepared(
      `insert into ${table} (stream, revision, blocked)
       select * from unnest($1::text[], $2::bigint[], $3::boolean[])
       on conflict (stream) do update set revision = excluded.revision, blocked = excluded.blocked`,
    ),
    values: [[...streams.keys()], states.map(({ revision }) => revision), states.map(({ blocked }) => blocked)],
  })
}

/** Inserts streams that are known not to be there. */
export async function copyStreams(client: PoolClient, table: string, streams: Streams): Promise<void> {
  if (streams.size === 0) return
  const lines = function* () {
    let chunk = ''
    for (const [stream, { revision, blocked }] of streams) {
      chunk += copyLine([stream, String(revision), blocked ? 't' : 'f'])
      if (chunk.length >= 64 * 1024) {
        yield chunk
        chunk = ''
      }
    }
    if (chunk) yield chunk
  }
  const target = client.query(copyFrom(`copy ${table} (stream, revision, blocked) from stdin`))
  await pipeline(Readable.from(lines()), target)
}

/** Stores what could not be applied, as it was recorded. */
export async function insertParked(client: PoolClient, table: string, parked: readonly ParkedEvent[]): Promise<void> {
  if (parked.length === 0) return
  await client.query(
    `insert into ${table} (stream, revision, partition, position, type, recorded, error, stack)
     select * from unnest($1::text[], $2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::json[], $7::text[], $8::text[])`,
    [
      parked.map(({ recorded }) => recorded.stream),
      parked.map(({ recorded }) => recorded.revision),
      parked.map(({ partition }) => partition),
      parked.map(({ recorded }) => recorded.position),
      parked.map(({ recorded }) => recorded.type),
      parked.map(({ recorded: { id, data, metadata } }) => JSON.stringify({ id, data, metadata })),
      parked.map(({ error }) => storable(error?.message)),
      parked.map(({ error }) => storable(error?.stack)),
    ],
  )
}

/** An error's text may quote the very character that PostgreSQL does not take; 4 KB tell enough. */
export const storable = (text: string | undefined): string | null =>
  text === undefined ? null : text.replaceAll('\u0000', '�').slice(0, 4_096)
