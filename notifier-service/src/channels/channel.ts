import type { ChannelName } from '../rules/rule'

/** A message ready to go, addressed and written out. */
export interface OutgoingMessage {
  /** What the receiving side knows the message by; the same in every attempt. */
  identity: string
  /** Address in the channel's own form: a mailbox, or a phone number in E.164. */
  to: string
  subject: string
  text: string
  html: string
  /** W3C Trace Context of the attempt. */
  traceparent: string | undefined
}

/**
 * What is known after an attempt. `code` is short, stable and free of personal data.
 *
 * `transient` claims that nothing was taken: `about: 'channel'` when the other side could not be used at all (that counts
 * against its circuit breaker), `'message'` when it works and put off this one. `unknown` claims nothing.
 */
export type Outcome =
  | { kind: 'accepted'; code: string }
  | { kind: 'rejected'; code: string }
  | { kind: 'transient'; code: string; about: 'message' | 'channel' }
  | { kind: 'unknown'; code: string }

/** One way of reaching people. */
export interface Channel {
  readonly name: ChannelName
  /** Never throws; ends soon after the signal aborts, with what is known then. */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<Outcome>
  close(): void
}
