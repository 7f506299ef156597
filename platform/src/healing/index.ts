import { StreamDeleted, type EventLog, type LogEvent } from '../event-log'
import type { Logger } from '../log'

/** Events of a stream that should have come before this one. */
export interface Hole {
  /** Last revision that the reader has seen; -1: none. */
  after: number
  /** The event that came too early. */
  before: Pick<LogEvent, 'id' | 'stream' | 'revision'>
}

/** What the log has of an event that Kafka only refers to. */
export type Content =
  | { kind: 'event'; event: LogEvent }
  /** It can never be had. */
  | { kind: 'lost'; reason: string }
  /** The log does not answer: later, then. */
  | { kind: 'no-answer' }

/** Finds what Kafka did not bring. */
export interface Healer {
  /** An event that did not fit into a record, and of which Kafka has the place only. Never throws. */
  content(place: Pick<LogEvent, 'id' | 'stream' | 'revision'>): Promise<Content>
  /** The missing events, gapless and in order; `undefined`: they can not be had, the partition has to wait. Never throws. */
  missing(hole: Hole): Promise<LogEvent[] | undefined>
  /** They have been applied, and that is durable. */
  healed(hole: Hole, events: number): void
}

/** Revisions read to heal one hole. A larger one is no lost record but a topic that begins late: that is a rebuild's work. */
export const holeSizeMax = 1_000

/** What became of a hole. All but the first leave the partition waiting. */
export const healingOutcomes = ['healed', 'too-large', 'not-in-log', 'other-log', 'no-answer'] as const
export type HealingOutcome = (typeof healingOutcomes)[number]

export interface HealerDependencies {
  eventLog: Pick<EventLog, 'readStream'>
  log: Logger
  /** @param events applied to heal it. */
  onOutcome: (outcome: HealingOutcome, events: number) => void
}

/** Reads what Kafka did not bring from the log itself. */
export function createHealer({ eventLog, log, onOutcome }: HealerDependencies): Healer {
  function givenUp(outcome: HealingOutcome, { after, before }: Hole, error?: unknown): undefined {
    onOutcome(outcome, 0)
    log.error(
      { stream: before.stream, after, before: before.revision, outcome, ...(error ? { err: error } : {}) },
      'a hole can not be healed from the log',
    )
  }

  const lost = (reason: string): Content => ({ kind: 'lost', reason })

  return {
    async content({ id, stream, revision }) {
      try {
        const [event] = await eventLog.readStream(stream, revision, 1)
        if (event?.revision !== revision) return lost('its content is not in the log')
        return event.id === id ? { kind: 'event', event } : lost('the log has another event in its place')
      } catch (error) {
        if (error instanceof StreamDeleted) return lost('its stream was deleted from the log')
        log.warn({ err: error, stream, revision }, 'an event could not be read from the log')
        return { kind: 'no-answer' }
      }
    },

    async missing(hole) {
      const { after, before } = hole
      const size = before.revision - after - 1
      if (size > holeSizeMax) return givenUp('too-large', hole)
      let found: LogEvent[]
      try {
        // With the event that came too early: it tells whether this is the log that the topic was filled from.
        found = await eventLog.readStream(before.stream, after + 1, size + 1)
      } catch (error) {
        return givenUp('no-answer', hole, error)
      }
      if (found.length !== size + 1 || found.some(({ revision }, i) => revision !== after + 1 + i)) {
        return givenUp('not-in-log', hole)
      }
      if (found.pop()!.id !== before.id) return givenUp('other-log', hole)
      return found
    },

    healed({ after, before: { stream, revision } }, events) {
      onOutcome('healed', events)
      log.warn({ stream, after, before: revision, events }, 'a hole in the topic was healed from the log')
    },
  }
}
