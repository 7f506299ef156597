import { decodeEvent, type AnnalsEvent, type RecordedEvent } from '@annals/contracts'
import type { PoolClient } from '@annals/platform/postgres'
import { chainName } from '../engine/definition/chain'
import type { Tables } from '../engine/tables/generation'
import type { ChainFinding, ChainWalk } from './walk'

type Head = AnnalsEvent<'audit.anchored'>['data']['heads'][number]

/**
 * Compares what the log's anchors say with the entries. When a walk comes to an anchor, all entries that it speaks of have been compared
 * with the log: one that has another hash all the same follows from another log than the one that was anchored.
 * @param reached how far each chain goes; an anchor may be ahead of it.
 */
export function createAnchorCheck(
  client: PoolClient,
  tables: Tables,
  reached: ReadonlyMap<string, bigint>,
  found: (finding: ChainFinding) => void,
): NonNullable<ChainWalk['beside']> & { seen: { compared: number; lastAt: string | null } } {
  const seen = { compared: 0, lastAt: null as string | null }

  async function hashesOf(heads: readonly Head[]): Promise<Map<string, string>> {
    const { rows } = await client.query<{ topic: string; partition: number; hash: string }>(
      `select e.topic, e.partition, e.hash
       from unnest($1::text[], $2::integer[], $3::bigint[]) as v (topic, partition, sequence)
       join ${tables.rows} e using (topic, partition, sequence)`,
      [heads.map(({ topic }) => topic), heads.map(({ partition }) => partition), heads.map(({ sequence }) => sequence)],
    )
    return new Map(rows.map((row) => [chainName(row), row.hash]))
  }

  return {
    prefix: 'audit-',
    seen,
    async see(recorded: RecordedEvent) {
      const decoded = decodeEvent(recorded)
      if (decoded.kind !== 'event' || decoded.event.type !== 'audit.anchored') return
      const { at, data } = decoded.event as AnnalsEvent<'audit.anchored'>
      const heads = data.heads.filter((head) => BigInt(head.position) <= (reached.get(chainName(head)) ?? -1n))
      const hashes = await hashesOf(heads)
      seen.lastAt = at
      seen.compared += heads.length
      for (const { topic, partition, sequence, hash, position } of heads) {
        if (hashes.get(chainName({ topic, partition })) === hash) continue
        const where = { topic, partition, sequence: `${sequence}`, position, eventId: null }
        found({ kind: 'anchor', ...where, columns: ['hash'] })
      }
    },
  }
}
