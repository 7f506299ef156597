import type { Topics } from '@annals/platform/kafka'
import type { Route } from './route'

/** The relay must not start without an operator's word. The message holds the choices. */
export class RelayRefusal extends Error {
  override readonly name = 'RelayRefusal'
}

/**
 * Where publishing goes on.
 * @param checkpoint as it was read; `undefined`: there is none.
 * @param resumeAfter the operator's word for a checkpoint that was lost.
 * @returns the position after which to read the log; -1: from its beginning.
 * @throws RelayRefusal when the checkpoint is missing beside a topic that has, or had, records: to begin anew would publish
 *   every event a second time, and to begin anywhere else could leave some out.
 */
export async function resumePosition(
  checkpoint: bigint | undefined,
  route: Route,
  topics: Pick<Topics, 'offsets'>,
  resumeAfter: bigint | undefined,
): Promise<bigint> {
  if (checkpoint !== undefined) {
    if (resumeAfter !== undefined && resumeAfter !== checkpoint)
      throw new RelayRefusal(
        `--resume-after ${resumeAfter} was given, but there is a checkpoint, ${checkpoint}. It is right by construction ` +
          'and is not overruled; start without the option.',
      )
    return checkpoint
  }
  if (resumeAfter !== undefined) return resumeAfter
  const used: string[] = []
  for (const { topic } of route.topics)
    if ((await topics.offsets(topic))?.some(({ high }) => high > 0n)) used.push(topic)
  if (used.length === 0) return -1n
  throw new RelayRefusal(
    [
      `The relay's checkpoint is missing (offsets of group "${route.name}"), but ${used.join(', ')} already ${used.length === 1 ? 'has' : 'have'} records.`,
      'To begin at the start of the log would publish those events a second time, so nothing was published. Choose:',
      '  1. Restore the offsets of the group from a backup of the cluster, and start again.',
      '  2. Find the largest "ce_position" header among the last records of these topics (read_committed): every batch',
      '     is one transaction in log order, so everything up to it is published. Start once with',
      '     --resume-after <that position>.',
      '  3. Publish everything into a new topic version, and move the consumers there:',
      '     --from-start --to <topic>.v<number>.',
      '  4. Delete these topics, start again, and let every consumer rebuild (they judge repeats by stream revision).',
      "Offsets expire when no relay ran for the broker's offsets.retention.minutes (7 days by default): raise it.",
    ].join('\n'),
  )
}
