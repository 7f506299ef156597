import type { AnnalsEvent, EventType } from '@annals/contracts'
import type { ChannelName } from '../vocabulary'

export interface Rule<T extends EventType = EventType> {
  /** Part of the intent's identity, for ever: a renamed rule would send again what its events have caused already. */
  readonly name: string
  readonly on: T
  readonly channel: ChannelName
  readonly template: string
  /** Which events of the type it speaks of; without it, all. */
  readonly when?: (event: AnnalsEvent<T>) => boolean
  readonly recipient: (event: AnnalsEvent<T>) => string
  readonly data: (event: AnnalsEvent<T>) => Record<string, string>
}

/** Declares a rule with its event's type known, and forgets that type so that rules fit into one list. */
export const defineRule = <T extends EventType>(rule: Rule<T>): Rule => rule as unknown as Rule
