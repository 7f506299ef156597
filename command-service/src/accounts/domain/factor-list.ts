import type { Decider, Past } from '../../core/decider'
import type { Factor } from './user'

/** A factor as its owner sees it. */
export interface NamedFactor extends Factor {
  label: string | null
  /** ISO 8601. */
  addedAt: string
}

type FactorListEventType = 'user.factor_added' | 'user.factor_removed'

/** The factors of an account with the names that their owner gave them: the same stream as the user's, opened. */
export const factorListDecider: Decider<readonly NamedFactor[], FactorListEventType> = {
  category: 'user',
  readsPersonal: true,
  initial: [],
  evolve: (factors, event) => evolve(factors, event),
}

function evolve(factors: readonly NamedFactor[], event: Past<FactorListEventType>): readonly NamedFactor[] {
  switch (event.type) {
    case 'user.factor_added': {
      const { factorId, kind, label } = event.data
      return [...factors, { factorId, kind, label, addedAt: event.at }]
    }
    case 'user.factor_removed':
      return factors.filter(({ factorId }) => factorId !== event.data.factorId)
    default:
      // Other facts of the user are in the stream as well.
      return factors
  }
}
