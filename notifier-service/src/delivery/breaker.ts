import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhenResult, isBrokenCircuitError } from 'cockatiel'
import type { BreakerState, Outcome } from '../vocabulary'

export interface BreakerPolicy {
  /** Attempts in a row in which the channel itself failed, after which it is left alone. */
  failuresMax: number
  /** How long it is left alone before one message is tried. */
  openMs: number
}

/** Five refusals in a row are no accident; ten seconds later one message asks whether it is over. */
export const standardBreakerPolicy: BreakerPolicy = { failuresMax: 5, openMs: 10_000 }

export interface Breaker {
  state(): BreakerState
  /** How many attempts may be begun now: none while it is open, one to find out whether it may close. */
  permits(): number
  /** @returns `undefined` when the attempt was refused and nothing was sent. */
  execute(attempt: () => Promise<Outcome>): Promise<Outcome | undefined>
}

/** Whether an outcome speaks against the channel rather than about one message. A server that goes silent does. */
const isChannelFault = (outcome: Outcome): boolean =>
  outcome.kind === 'unknown' || (outcome.kind === 'transient' && outcome.about === 'channel')

const names: Record<CircuitState, BreakerState> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Open]: 'open',
  [CircuitState.Isolated]: 'open',
}

/** @param onChange told of every change of state. */
export function createBreaker(
  { failuresMax, openMs }: BreakerPolicy,
  onChange: (state: BreakerState) => void = () => undefined,
): Breaker {
  const policy = circuitBreaker(
    handleWhenResult((outcome) => isChannelFault(outcome as Outcome)),
    { halfOpenAfter: openMs, breaker: new ConsecutiveBreaker(failuresMax) },
  )
  let openedAt = 0
  policy.onBreak(() => {
    openedAt = performance.now()
  })
  policy.onStateChange((state) => onChange(names[state]))
  return {
    state: () => names[policy.state],
    permits() {
      switch (policy.state) {
        case CircuitState.Closed:
          return Number.POSITIVE_INFINITY
        case CircuitState.Open:
          return performance.now() - openedAt >= openMs ? 1 : 0
        case CircuitState.HalfOpen:
        case CircuitState.Isolated:
          return 0
      }
    },
    async execute(attempt) {
      try {
        return await policy.execute(attempt)
      } catch (error) {
        if (isBrokenCircuitError(error)) return undefined
        throw error
      }
    },
  }
}
