import type { EventLog, LogEvent } from '../event-log'
import type { Logger } from '../log'

/** Events of a stream that should have come before this one. */
export interface Hole {
  /** Last revision that the reader has seen; -1: none. */
  after: number
  /** The event that came too early. */
  before: Pick<LogEvent, 'id' | 'stream' | 'revision'>
}

/** Finds what Kafka did not bring. */
export interface Healer {
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

  return {
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
