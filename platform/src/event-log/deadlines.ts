/** How long what is asked of the log may take, in ms. docs/remote-calls.md lists them; tests of silence give shorter ones. */
export interface EventLogDeadlines {
  /** One attempt of an append, before its outcome counts as unknown. The client does not end it when the server is frozen. */
  appendMs: number
  /** A stream, or the end of the log, read to its end; an aggregate's stream is a few events. */
  answerMs: number
  /**
   * A long read, or a subscription that is being asked for, may say nothing for so long while it is waited for. The client's
   * keepalive (a ping after 10 s, 10 s for its answer) finds a dead connection later, and can be switched off in the URL.
   */
  quietMs: number
  /** Between two renewals of the client: an outage makes few connections, and whoever waits for an answer has had his time. */
  renewEveryMs: number
}

export const eventLogDeadlines: EventLogDeadlines = {
  appendMs: 5_000,
  answerMs: 5_000,
  quietMs: 10_000,
  renewEveryMs: 5_000,
}
