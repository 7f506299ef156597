import { verifyChain, type VerifyDependencies } from '../chain/verify'
import type { ChainFinding } from '../chain/walk'
import type { ChainProjection } from '../engine/definition/chain'
import { NotPossible } from '../engine/tables/stream-lock'
import type { RowDifference, StreamComparison } from './stream-comparison'

/** Entries of a random part that are compared in one round: with a round every 30 s, 2.8 million a day. */
const entriesPerRound = 1_000
/** Entries known to be wrong that are looked at again in each round. */
const recheckedPerRound = 5

/** What a finding is to people who look at drift. */
export const differenceOf = ({ kind, sequence, eventId, columns }: ChainFinding): RowDifference => ({
  key: eventId ?? `head ${sequence}`,
  columns: columns.length > 0 ? columns : [`(entry ${sequence}: ${kind})`],
})

const nameOf = ({ topic, partition, sequence }: ChainFinding): string => `${topic}/${partition}/${sequence}`

const behind = (name: string) => {
  const [topic, partition, sequence] = name.split('/') as [string, string, string]
  return { topic, partition: Number(partition), sequence: BigInt(sequence) - 1n }
}

/**
 * One round over a chain: a random part of it, and entries that were wrong before.
 * @param differing names of entries that are known to be wrong: `topic/partition/sequence`.
 * @param learn told of each entry, by its name.
 */
export async function checkChain(
  projection: ChainProjection,
  differing: ReadonlySet<string>,
  deps: VerifyDependencies,
  learn: (name: string, compared: StreamComparison) => void,
): Promise<void> {
  try {
    for (const name of [...differing].slice(0, recheckedPerRound)) {
      const { findings } = await verifyChain(projection, deps, { sample: entriesPerRound, from: behind(name) })
      if (!findings.some((finding) => nameOf(finding) === name)) learn(name, { kind: 'same' })
    }
    const { findings } = await verifyChain(projection, deps, { sample: entriesPerRound })
    for (const finding of findings) learn(nameOf(finding), { kind: 'differs', differences: [differenceOf(finding)] })
    if (findings.length === 0) learn('', { kind: 'same' })
  } catch (error) {
    // Another version is live, or none yet: there is nothing to compare.
    if (!(error instanceof NotPossible)) throw error
  }
}
