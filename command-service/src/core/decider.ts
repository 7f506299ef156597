import type { AnnalsEvent, EventType, NewEvent } from '@annals/contracts'

/** A fact as a fold sees it: opened data (what an erased person hid is `null`) and the time at which it was recorded. */
export type Past<T extends EventType> = { [K in T]: Pick<AnnalsEvent<K>, 'type' | 'data' | 'at'> }[T]

/** How an aggregate's state grows out of its events. Decisions stand beside it, as functions from input and state to events. */
export interface Decider<State, T extends EventType> {
  /** Category of the streams that it folds: an event of another category is never mixed in. */
  readonly category: string
  readonly initial: State
  /** Whether folds see personal data. Without it these fields read `null`, and no key is ever asked for. */
  readonly readsPersonal?: true
  /**
   * What of a stream is read. By default all of it: such an aggregate has a few events at most, by its own rules.
   * `first-and-last`: its state follows from these two, however many lie between. A repeat of a command is recognised by these
   * events only, so its commands take no idempotency keys.
   */
  readonly reads?: 'first-and-last'
  /** Never fails: what the log holds has happened. */
  readonly evolve: (state: State, event: Past<T>) => State
}

export type Decision<State, T extends EventType> = (state: State) => NewEvent<T>[]
