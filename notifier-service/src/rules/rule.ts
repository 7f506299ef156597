import type { AnnalsEvent, EventType } from '@annals/contracts'

export type ChannelName = 'email' | 'sms'

/** What an event makes us want to say, to whom and how. Holds no personal data: it is stored for long. */
export interface Intent {
  rule: string
  /** Id of the user who is to hear of it; the address is looked up when it is sent. */
  recipient: string
  channel: ChannelName
  /** Name and version of the template, such as `welcome.v2`. */
  template: string
  data: Record<string, string>
}

export interface Rule<T extends EventType = EventType> {
  /** Part of the intent's identity, for ever: a renamed rule would send again what its events have caused already. */
  readonly name: string
  readonly on: T
  readonly channel: ChannelName
  readonly template: string
  readonly recipient: (event: AnnalsEvent<T>) => string
  readonly data: (event: AnnalsEvent<T>) => Record<string, string>
}

/** Declares a rule with its event's type known, and forgets that type so that rules fit into one list. */
export const defineRule = <T extends EventType>(rule: Rule<T>): Rule => rule as unknown as Rule
