import { expect } from '@jest/globals'
import type { EventType, NewEvent } from '@annals/contracts'
import type { Decider, Decision, Past } from '../../src/core/decider'
import { Rejected, type RejectionCode } from '../../src/core/rejected'

/** When facts that a test does not date have happened. */
export const longAgo = '2026-01-01T00:00:00.000Z'

/** `given(facts).when(decision).yields(facts)`, or `.rejects(code)`: a decider's test as a sentence. */
export const scenario =
  <State, T extends EventType>(decider: Decider<State, T>) =>
  (...facts: (NewEvent<T> & { at?: string })[]) => {
    const past = facts.map((fact) => ({ at: longAgo, ...fact }) as unknown as Past<T>)
    const state = past.reduce(decider.evolve, decider.initial)
    return {
      state,
      when: (decision: Decision<State, T>) => ({
        yields: (...expected: NewEvent<T>[]) => expect(decision(state)).toEqual(expected),
        rejects(code: RejectionCode) {
          const refused = expect(() => decision(state))
          refused.toThrow(Rejected)
          refused.toThrow(code)
        },
      }),
    }
  }
