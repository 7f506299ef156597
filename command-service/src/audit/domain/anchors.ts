import type { NewEvent } from '@annals/contracts'
import type { Decider } from '../../core/decider'

export type Head = NewEvent<'audit.anchored'>['data']['heads'][number]

/** Where the chains of the audit trail stood at the last anchor of a stream. */
export type Anchors = { status: 'none' } | { status: 'anchored'; readTo: bigint; heads: readonly Head[] }

/** A month has some nine thousand anchors: only the last one counts. */
export const anchorDecider: Decider<Anchors, 'audit.anchored'> = {
  category: 'audit',
  initial: { status: 'none' },
  reads: 'first-and-last',
  evolve: (_, { data: { readTo, heads } }) => ({ status: 'anchored', readTo: BigInt(readTo), heads }),
}

const nameOf = ({ topic, partition }: Head) => `${topic}/${partition}`

/**
 * Chains only grow. An anchor that is not further than the last one says nothing new, and is none.
 * @throws Error when a chain would be shorter than it was anchored, or another one of the same length: the log is not the one it was.
 */
export const anchor =
  ({ readTo, heads }: { readTo: bigint; heads: readonly Head[] }) =>
  (before: Anchors): NewEvent<'audit.anchored'>[] => {
    if (heads.length === 0) return []
    if (before.status === 'anchored') {
      if (readTo <= before.readTo) return []
      const now = new Map(heads.map((head) => [nameOf(head), head]))
      for (const former of before.heads) {
        const head = now.get(nameOf(former))
        if (!head || head.sequence < former.sequence)
          throw new Error(`${nameOf(former)} was anchored at entry ${former.sequence}, and is shorter now`)
        if (head.sequence === former.sequence && head.hash !== former.hash)
          throw new Error(`entry ${former.sequence} of ${nameOf(former)} was anchored with another hash`)
      }
    }
    return [{ type: 'audit.anchored', data: { readTo: String(readTo), heads: [...heads] } }]
  }
