import { checkpointColumns, checkpointOf, type CheckpointRow } from '@annals/platform/checkpoint'
import type { EventLog } from '@annals/platform/event-log'
import type { Topics } from '@annals/platform/kafka'
import type { Pool } from '@annals/platform/postgres'
import { tablesOf } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { registered } from '../../engine/tables/registry'
import { NotPossible } from '../../engine/tables/stream-lock'

interface Row extends CheckpointRow {
  topic: string
  partition: number
  position_event: string | null
}

/**
 * A log that was restored from an older copy is taken as it is only behind the relay: a topic that holds what the log has lost would
 * be read from its first record, and bring it back.
 * @throws NotPossible when a topic still holds an event that a read model has applied, and the log does not have it.
 */
export async function requireTopicsOfLog(
  pool: Pool,
  projections: readonly Projection[],
  log: Pick<EventLog, 'eventAt'>,
  topics: Pick<Topics, 'ids' | 'offsets'>,
): Promise<void> {
  const names = [...new Set(projections.flatMap((projection) => projection.topics))]
  const ids = await topics.ids(names)
  const ends = new Map<string, bigint>()
  for (const topic of names)
    for (const { partition, high } of (await topics.offsets(topic)) ?? []) ends.set(`${topic}/${partition}`, high)
  for (const projection of projections) {
    if (!(await registered(pool, projection.name))) continue
    const { rows } = await pool.query<Row>(
      `select topic, partition, position_event, ${checkpointColumns()} from ${tablesOf(projection, 'live').checkpoint}`,
    )
    for (const { topic, partition, position_event, ...row } of rows) {
      const { topicId, last, position } = checkpointOf(row)
      const isThere = last !== undefined && (ends.get(`${topic}/${partition}`) ?? 0n) > last.offset
      if (topicId === undefined || ids.get(topic) !== topicId || !isThere || position_event === null) continue
      // Of a topic that was made anew, and read again since: what is there now was passed over as a repeat.
      if (last.mark !== position_event) continue
      if ((await log.eventAt(position))?.id === position_event) continue
      throw new NotPossible(
        `${topic} was filled from the former log, and still holds event ${position_event}, which the log does not have. ` +
          'Nothing was changed. Let the relay take the log as it is first, which makes the topics anew:\n' +
          '  npm run relay -- --accept-log --delete-topics --until-caught-up\n' +
          'Then call this again.',
      )
    }
  }
}
