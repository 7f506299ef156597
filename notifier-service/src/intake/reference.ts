import { StreamDeleted, type EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import { readEvent, type EventPlace, type ReadRecord, type EventTypes } from './read-record'

/**
 * Reads an event whose content is in the log only.
 * @returns `undefined` when the log does not answer: later, then. What the log does not have any more is parked.
 */
export async function readReference(
  eventLog: Pick<EventLog, 'readStream'>,
  at: EventPlace,
  eventTypes: EventTypes,
  log: Logger,
): Promise<ReadRecord | undefined> {
  const lost = (reason: string): ReadRecord => ({ kind: 'park', at, reason })
  try {
    const [event] = await eventLog.readStream(at.stream, at.revision, 1)
    if (event?.revision !== at.revision) return lost('its content is not in the log')
    return event.id === at.id ? readEvent(event, eventTypes) : lost('the log has another event in its place')
  } catch (error) {
    if (error instanceof StreamDeleted) return lost('its stream was deleted from the log')
    log.warn({ err: error, stream: at.stream, revision: at.revision }, 'an event could not be read from the log')
    return undefined
  }
}
