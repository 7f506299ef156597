import type { EventLog } from '@annals/platform/event-log'

/** The process ends here, as far as the command knows. */
export class Killed extends Error {}

/**
 * A log whose process is killed at an append.
 * @param appends so many are done before it.
 * @param isAnswered whether the fatal append is done as well: then the kill comes before its answer.
 */
export function killedAt(log: EventLog, appends: number, isAnswered: boolean): EventLog {
  let done = 0
  let isDead = false
  const alive = <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
    async function (...args: Args): Promise<Result> {
      if (isDead) throw new Killed()
      return call(...args)
    }
  return {
    ...log,
    readStream: alive(log.readStream.bind(log)),
    lastOf: alive(log.lastOf.bind(log)),
    append: alive(async (...args: Parameters<EventLog['append']>) => {
      if (done++ < appends) return log.append(...args)
      isDead = true
      if (isAnswered) await log.append(...args)
      throw new Killed()
    }),
  }
}
