import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import type { CheckpointedPublisher } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'

export interface StandbyOptions {
  publisher: Pick<CheckpointedPublisher, 'committed'>
  eventLog: Pick<EventLog, 'subscribe'>
  prefixes: readonly string[]
  log: Logger
  signal: AbortSignal
  /** The active relay counts as gone when the checkpoint has not moved for so long while events wait. */
  patienceMs: number
  /** What that comes down to again once work is seen to flow. */
  patienceMsMin: number
}

/**
 * The first leaves half of the five seconds in which a successor has to publish for looking and for taking over. The longest
 * is for a cluster so slow that no transaction is done in less: relays that took turns faster than it can commit would
 * publish nothing at all.
 */
export const patience = { firstMs: 2_500, maxMs: 30_000 } as const

/** After this relay had taken over because nothing was published, and was fenced before it had published anything itself. */
export const longerPatienceMs = (currentMs: number): number => Math.min(2 * currentMs, patience.maxMs)

/** Looks in a row that found the checkpoint moved: five seconds of work that flows. */
const steadyLooks = 10
/** How often the checkpoint is looked at while events wait for it. */
const lookEveryMs = 500
/** After a checkpoint that could not be read, or a log that could not. */
const calmMs = 1_000
/** Two that stand by must not jump at the same moment: the later one sees what the earlier has published. */
const apartMsMax = 400

/** Position of the first event to publish after the given one; waits for it, without asking, for as long as none comes. */
async function firstAfter(after: bigint, { eventLog, prefixes, signal }: StandbyOptions): Promise<bigint | undefined> {
  for await (const { position } of eventLog.subscribe({ after: after < 0n ? undefined : after, prefixes, signal }))
    return position
  return undefined
}

/**
 * Stands by while another relay works, and watches what that one is there for: events that lie in the log have to be
 * passed by the checkpoint. A relay that hangs is noticed as well as one that is dead, and an idle one is left alone.
 * @returns when it is time to take over, or when the signal aborts: the patience that was in force.
 */
export async function standBy(options: StandbyOptions): Promise<number> {
  const { publisher, log, signal, patienceMsMin } = options
  let { patienceMs } = options
  let steady = 0
  const position = async () => {
    try {
      return (await publisher.committed())?.position ?? -1n
    } catch (error) {
      log.warn({ err: error }, 'the checkpoint cannot be read, so nothing is known about the active relay')
      return undefined
    }
  }
  const apartMs = Math.random() * apartMsMax
  let from = await position()
  while (!signal.aborted) {
    const waiting = from === undefined ? undefined : await firstAfter(from, options)
    if (from === undefined || waiting === undefined) {
      await pause(calmMs, signal)
      from = await position()
      continue
    }
    let deadline = Date.now() + patienceMs + apartMs
    let now: bigint | undefined = from
    for (let look = 1; now === undefined || now <= from; look++) {
      await pause(Math.min(lookEveryMs, Math.max(0, deadline - Date.now())), signal)
      if (signal.aborted) return patienceMs
      now = await position()
      // Kafka that does not answer says nothing against the active relay.
      if (now === undefined) deadline = Date.now() + patienceMs + apartMs
      else if (now > from) steady = look === 1 ? steady + 1 : 0
      else if (Date.now() >= deadline) {
        log.warn(
          { checkpoint: String(from), waiting: String(waiting) },
          'the active relay does not publish, taking over',
        )
        return patienceMs
      }
    }
    if (steady >= steadyLooks) patienceMs = patienceMsMin
    from = now
  }
  return patienceMs
}
