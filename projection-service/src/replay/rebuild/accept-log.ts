import type { EventLog } from '@annals/platform/event-log'
import type { Topics } from '@annals/platform/kafka'
import type { Pool } from '@annals/platform/postgres'
import { checkpointsIn } from '../../engine/tables/checkpoint-table'
import { tablesOf } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { registered } from '../../engine/tables/registry'
import { NotPossible } from '../../engine/tables/stream-lock'

/**
 * A log that was restored from an older copy is accepted only after the relay has accepted it. Otherwise a topic that
 * holds what the log has lost would be read from its first record, and bring it back.
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
    for (const { topic, partition, checkpoint, eventId } of await checkpointsIn(
      pool,
      tablesOf(projection, 'live').checkpoint,
    )) {
      const { topicId, last, position } = checkpoint
      const isThere = last !== undefined && (ends.get(`${topic}/${partition}`) ?? 0n) > last.offset
      if (topicId === undefined || ids.get(topic) !== topicId || !isThere || eventId === null) continue
      // Of a topic that was made anew, and read again since: what is there now was passed over as a repeat.
      if (last.mark !== eventId) continue
      if ((await log.eventAt(position))?.id === eventId) continue
      throw new NotPossible(
        `${topic} was filled from the former log, and still holds event ${eventId}, which the log does not have. ` +
          'Nothing was changed. Let the relay take the log as it is first, which makes the topics anew:\n' +
          '  npm run relay -- --accept-log --delete-topics --until-caught-up\n' +
          'Then call this again.',
      )
    }
  }
}
