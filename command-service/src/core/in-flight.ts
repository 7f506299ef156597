import { CommandInProgress, Overloaded, TooManyRequests } from './faults'

/**
 * What a command waits for, while it holds its place. `payment-gateway`: another company's server, which may be silent
 * for seconds; commands that need only our own stores must not wait behind that.
 */
export type CommandPurpose = 'accounts' | 'sessions' | 'payments' | 'payment-gateway'

/** A command that asks for a place. */
export interface Admission {
  /** Of a command that a client may repeat; a repeat that meets its first run is refused. */
  commandId: string
  purpose: CommandPurpose
  /**
   * Who asks, so that nobody takes all places: a user, a session, or, where nobody is known yet, the network of the
   * client.
   */
  principal: string
}

/**
 * What runs in this process: at most so much, for each purpose and each principal no more than a share, and each
 * command once.
 */
export interface InFlight {
  /**
   * Runs a command.
   * @throws CommandInProgress when this one runs; TooManyRequests when the principal has its share; Overloaded when the
   *   purpose has, or all places are taken.
   */
  run<T>(admission: Admission, work: () => Promise<T>): Promise<T>
  readonly size: number
}

export interface InFlightLimits {
  max: number
  /** At most for one purpose. */
  purposeMax: number
  /** At most for one principal. */
  principalMax: number
}

/** In seconds: a command of ours takes milliseconds, and the payment gateway is given up after ten seconds. */
const retryAfterSeconds = (purpose: CommandPurpose) => (purpose === 'payment-gateway' ? 5 : 1)

export function createInFlight({ max, purposeMax, principalMax }: InFlightLimits): InFlight {
  const running = new Set<string>()
  const purposes = new Tally()
  const principals = new Tally()
  return {
    async run({ commandId, purpose, principal }, work) {
      if (running.has(commandId)) throw new CommandInProgress(commandId)
      const waitSeconds = retryAfterSeconds(purpose)
      if (principals.of(principal) >= principalMax) throw new TooManyRequests(waitSeconds)
      if (running.size >= max || purposes.of(purpose) >= purposeMax) throw new Overloaded(purpose, waitSeconds)
      running.add(commandId)
      purposes.add(purpose, 1)
      principals.add(principal, 1)
      try {
        return await work()
      } finally {
        running.delete(commandId)
        purposes.add(purpose, -1)
        principals.add(principal, -1)
      }
    },
    get size() {
      return running.size
    },
  }
}

/** Counts by name; what is at none is not kept. */
class Tally {
  readonly #counts = new Map<string, number>()

  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  add(name: string, change: number): void {
    const count = this.of(name) + change
    if (count > 0) this.#counts.set(name, count)
    else this.#counts.delete(name)
  }
}
