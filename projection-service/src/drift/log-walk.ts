import type { TopicName } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import { prefixesOf } from '../engine/definition/topics'

/** That the log holds this event: all that is kept of one in order to ask whether a read model has seen it. */
export interface Mention {
  stream: string
  revision: number
  position: bigint
}

type Log = Pick<EventLog, 'readAll' | 'head'>

/** Mentions after a position, in log order; fewer than `countMax` where the log ends. */
async function mentionsAfter(
  log: Log,
  names: readonly TopicName[],
  after: bigint | undefined,
  countMax: number,
): Promise<Mention[]> {
  const found: Mention[] = []
  for await (const { stream, revision, position } of log.readAll({ after, prefixes: prefixesOf(names) })) {
    found.push({ stream, revision, position })
    if (found.length >= countMax) break
  }
  return found
}

/**
 * Goes through the log round and round, a bounded number of events at a time, and beside that through what is new.
 * Positions that it reads from are those of events that it was handed.
 */
export class LogWalk {
  #after: bigint | undefined
  #isPlaced = false
  /** Where the log ended when it was looked at last. */
  #newestAfter: bigint | undefined
  /** What was new then: read models have had the time of a round to see it. */
  #lately: Mention[] = []

  /**
   * @param names topics whose streams are of interest.
   * @param begin where the first round begins: a position of the log; `undefined`: its beginning.
   */
  constructor(
    private readonly log: Log,
    private readonly names: readonly TopicName[],
    private readonly begin: () => Promise<bigint | undefined>,
  ) {}

  /** The next events, so many at most, and those that were new at the call before, so many at most. */
  async next(countMax: number): Promise<Mention[]> {
    if (!this.#isPlaced) {
      this.#after = await this.begin()
      this.#newestAfter = await this.log.head()
      this.#isPlaced = true
    }
    try {
      const walked = await mentionsAfter(this.log, this.names, this.#after, countMax)
      // At the end it begins anew.
      this.#after = walked.length < countMax ? undefined : walked.at(-1)!.position
      const lately = this.#lately
      this.#lately = await this.#newest(countMax)
      return [...walked, ...lately]
    } catch (error) {
      // A log that was cut may refuse the position for ever.
      this.#isPlaced = false
      throw error
    }
  }

  async #newest(countMax: number): Promise<Mention[]> {
    const found = await mentionsAfter(this.log, this.names, this.#newestAfter, countMax)
    // Of more than that the rest is left to the walk.
    const isAll = found.length < countMax
    this.#newestAfter = isAll ? (found.at(-1)?.position ?? this.#newestAfter) : await this.log.head()
    return found
  }
}

/** Mentions handed over at once. */
const pageSize = 2_000

/**
 * Once through the log from a position, on from its beginning when it ends, and so many events at most.
 * @param begin a position of the log; `undefined`: its beginning.
 */
export async function* walkOnce(
  log: Log,
  names: readonly TopicName[],
  begin: bigint | undefined,
  countMax: number,
): AsyncGenerator<Mention[]> {
  let count = 0
  for (const [after, end] of begin === undefined
    ? [[undefined, undefined]]
    : [
        [begin, undefined],
        [undefined, begin],
      ]) {
    let page: Mention[] = []
    for await (const { stream, revision, position } of log.readAll({ after, prefixes: prefixesOf(names) })) {
      if (count >= countMax || (end !== undefined && position > end)) break
      count += 1
      if (page.push({ stream, revision, position }) < pageSize) continue
      yield page
      page = []
    }
    if (page.length > 0) yield page
  }
}
