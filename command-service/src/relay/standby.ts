import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import type { CheckpointedPublisher } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'

export interface StandbyOptions {
  publisher: Pick<CheckpointedPublisher, 'position'>
  eventLog: Pick<EventLog, 'subscribe'>
  prefixes: readonly string[]
  log: Logger
  signal: AbortSignal
  /** The active relay counts as gone when the checkpoint has not moved for so long while events wait. Default 5,000 ms. */
  stalledMs?: number
}

/** How often the checkpoint is looked at while events wait for it. */
const lookEveryMs = 500
/** Between one proof that the active relay works and the next. */
const calmMs = 1_000

/** Position of the first event to publish after the given one; waits for it, without asking, for as long as none comes. */
async function firstAfter(after: bigint, { eventLog, prefixes, signal }: StandbyOptions): Promise<bigint | undefined> {
  for await (const { position } of eventLog.subscribe({ after: after < 0n ? undefined : after, prefixes, signal }))
    return position
  return undefined
}

/**
 * Stands by while another relay works, and watches what that one is there for: events that lie in the log have to be
 * passed by the checkpoint. A relay that hangs is noticed as well as one that is dead, and an idle one is left alone.
 * @returns when it is time to take over, or when the signal aborts.
 */
export async function standBy(options: StandbyOptions): Promise<void> {
  const { publisher, log, signal, stalledMs = 5_000 } = options
  const position = async () => {
    try {
      return (await publisher.position()) ?? -1n
    } catch (error) {
      log.warn({ err: error }, 'the checkpoint can not be read, nothing is known about the active relay')
      return undefined
    }
  }
  while (!signal.aborted) {
    const from = await position()
    const waiting = from === undefined ? undefined : await firstAfter(from, options)
    if (from === undefined || waiting === undefined) {
      await pause(calmMs, signal)
      continue
    }
    let deadline = Date.now() + stalledMs
    for (;;) {
      await pause(lookEveryMs, signal)
      if (signal.aborted) return
      const now = await position()
      if (now !== undefined && now > from) break
      // Kafka that does not answer says nothing against the active relay.
      if (now === undefined) deadline = Date.now() + stalledMs
      else if (Date.now() >= deadline) {
        log.warn(
          { checkpoint: String(from), waiting: String(waiting) },
          'the active relay does not publish, taking over',
        )
        return
      }
    }
    await pause(calmMs, signal)
  }
}
