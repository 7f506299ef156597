import type { CommittedOffset } from '@annals/platform/kafka'
import { z } from 'zod'

/**
 * How far the deliveries had come in one partition, committed to Kafka beside the offset after each batch, and after the database's own
 * commit. So it is never ahead of deliveries that nobody set back, whenever a process is killed; Kafka may lose it, and then tells nothing.
 */
export const Witness = z.object({
  v: z.literal(1),
  /** Kafka's id of the topic that the offset belongs to. */
  topic: z.string().max(64),
  /** How often the database had moved the partition. Counts on when a topic is made anew or read again, so that it alone tells what is ahead. */
  moves: z.int().nonnegative(),
  /** Log position that was reached. */
  position: z.string().regex(/^-?\d{1,19}$/),
  /** The database's time, ISO 8601. */
  at: z.iso.datetime(),
})
export type Witness = z.infer<typeof Witness>

/** A witness, and where it was found. */
export interface PlacedWitness extends Witness {
  /** Kafka's names of the partition. */
  place: { topic: string; partition: number }
  /** Offset at which reading would have gone on, as text. */
  offset: string
}

export const encodeWitness = (witness: Witness): string => JSON.stringify(witness)

/** Witnesses among what a group has committed; what others committed there (an offset that was reset by hand) tells nothing. */
export function witnessesIn(committed: readonly CommittedOffset[]): PlacedWitness[] {
  return committed.flatMap(({ topic, partition, offset, metadata }) => {
    if (!metadata) return []
    try {
      const witness = Witness.parse(JSON.parse(metadata))
      return [{ ...witness, place: { topic, partition }, offset: String(offset) }]
    } catch {
      return []
    }
  })
}
