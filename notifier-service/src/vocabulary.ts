/**
 * The words of the notifier, one meaning each. Every folder may import them, and they import nothing: so folders that speak of the
 * same thing need not import each other.
 */

/** A way of reaching people. */
export type ChannelName = 'email' | 'sms'

/** What an event makes us want to say, to whom and how. Holds no personal data: it is stored for long. */
export interface Intent {
  rule: string
  /** Id of the user who is to hear of it; the address is looked up when it is sent. */
  recipient: string
  channel: ChannelName
  /** Name and version of the template, such as `welcome.v1`. */
  template: string
  data: Record<string, string>
}

/** Why an intent is recorded and not sent: its fact is from before this notifier, or too old when it was first seen. */
export type SkipReason = 'before-start' | 'too-old'

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

/** What becomes of a delivery after an attempt. */
export type Settlement =
  | { state: 'accepted' | 'rejected' | 'exhausted' | 'unknown'; reason: string }
  /** Due again so long after it is recorded. */
  | { state: 'pending'; reason: string; waitMs: number }

/** The port through which messages of one kind leave. */
export interface Channel {
  readonly name: ChannelName
  /** Never throws; ends soon after the signal aborts, with what is known then. */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<Outcome>
  close(): void
}

/** Whether a channel is used (`closed`), left alone (`open`), or tried with one message (`half-open`). */
export type BreakerState = 'closed' | 'half-open' | 'open'
