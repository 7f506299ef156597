import type { OpenAll } from '@annals/contracts'
import type { Pool } from '@annals/platform/postgres'
import type { DecodeMemo } from '../../engine/fold/fold'
import type { Projection } from '../../engine/definition/projection'
import { BulkFold, type PlacedEvent, type Witness } from '../fold/bulk-fold'
import type { Pace } from '../fold/pace'
import { Recount } from '../recount/recount'
import { moveRebuild, type Rebuild } from './rebuild-state'

/** Per partition (`topic/partition`), the log position beyond which the shadow must not go; `undefined`: to the end. */
export type Limits = ReadonlyMap<string, bigint> | undefined

/** Folds the log into a projection's shadow, up to limits, and moves the rebuild's position with what it writes. */
export class Builder {
  #written: Pick<Rebuild, 'position' | 'events'>
  #position: bigint
  #events: bigint
  /** Position before the first event of this round that is beyond its limit: where the next round begins. */
  #heldAt: bigint | undefined
  /** What a former run has folded, which this one has to read again to recount it: up to here in each partition, ... */
  readonly #before: ReadonlyMap<string, bigint>
  /** ... and it has read so far. */
  #recountedTo = -1n
  readonly recount: Recount

  private constructor(
    private readonly fold: BulkFold,
    private readonly rebuild: Rebuild,
  ) {
    this.#written = { position: rebuild.position, events: rebuild.events }
    this.#position = rebuild.position
    this.#events = rebuild.events
    this.#before = new Map(fold.reached)
    this.recount = new Recount(fold.projection)
  }

  /** @param builders how many there are in this process. */
  static async open(
    projection: Projection,
    pool: Pool,
    rebuild: Rebuild,
    { builders, pace }: { builders: number; pace: Pace },
  ): Promise<Builder> {
    const empty = rebuild.position < 0n && rebuild.events === 0n
    const options = { generation: 'next', empty, repeats: 'refused', folds: builders, pace } as const
    return new Builder(await BulkFold.open(projection, pool, options), rebuild)
  }

  get projection(): Projection {
    return this.fold.projection
  }

  /** Reading goes on after this log position: from the beginning, where a former run's events are not recounted yet. */
  get position(): bigint {
    return this.recountsTo > this.#recountedTo ? this.#recountedTo : this.#position
  }

  /** Log position up to which a former run has folded. */
  get recountsTo(): bigint {
    return [...this.#before.values()].reduce((a, b) => (a > b ? a : b), -1n)
  }

  /** Events gone through, since the rebuild began. */
  get events(): bigint {
    return this.#events
  }

  /** Position of the last event applied, by `topic/partition`. */
  get reached(): ReadonlyMap<string, bigint> {
    return this.fold.reached
  }

  /** Whether there is nothing within the limits that has not been folded. */
  hasReached(limits: Limits): boolean {
    if (this.recountsTo > this.#recountedTo || limits === undefined) return false
    return [...this.reached].every(([place, position]) => position >= (limits.get(place) ?? -1n))
  }

  /** A new pass through the log begins, with other limits. */
  beginRound(): void {
    this.#heldAt = undefined
  }

  /**
   * Folds what is new and within the limits.
   * @param events in log order, a gapless part of the log as far as this projection reads it.
   * @throws RebuildStopped at a hole or a newer version.
   */
  async apply(events: readonly PlacedEvent[], limits: Limits, openAll: OpenAll, memo: DecodeMemo): Promise<void> {
    const wanted: PlacedEvent[] = []
    const indexes: number[] = []
    const again: PlacedEvent[] = []
    const againIndexes: number[] = []
    let position = this.#position
    for (const [index, event] of events.entries()) {
      const reached = this.reached.get(event.place)
      if (reached === undefined) continue
      if (event.recorded.position > reached) {
        const limit = limits?.get(event.place)
        if (limits && event.recorded.position > (limit ?? -1n)) this.#heldAt ??= position
        else {
          wanted.push(event)
          indexes.push(index)
        }
      } else if (this.#isToRecount(event)) {
        again.push(event)
        againIndexes.push(index)
      }
      if (event.recorded.position > position) position = event.recorded.position
    }
    const witness: Witness = (event, verdict) => this.recount.see(event, verdict)
    // Of each partition the events of the former run come first, as they did.
    if (again.length > 0) await this.fold.again(again, openAll, { memo, indexes: againIndexes }, witness)
    if (wanted.length > 0) await this.fold.fold(wanted, openAll, { memo, indexes }, witness)
    this.#events += BigInt(wanted.length)
    const last = events.at(-1)?.recorded.position ?? this.#position
    if (last > this.#recountedTo) this.#recountedTo = last
    this.#position = this.#heldAt ?? (last > this.#position ? last : this.#position)
    if (this.fold.isDue && this.#events !== this.#written.events) await this.#flushBehind()
  }

  #isToRecount({ place, recorded: { position } }: PlacedEvent): boolean {
    return position > this.#recountedTo && position <= (this.#before.get(place) ?? -1n)
  }

  async #flushBehind(): Promise<void> {
    // One after the other: the position moves from where the flush before left it.
    await this.fold.written()
    const [from, to] = [this.#written, { position: this.#position, events: this.#events }]
    await this.fold.flushBehind(async (client) => {
      await moveRebuild(client, this.rebuild.id, from, to)
    })
    this.#written = to
  }

  /** Writes everything there is; when it returns, the shadow and the rebuild's position are durable together. */
  async flush(): Promise<void> {
    await this.fold.written()
    const { position, events } = this.#written
    if (this.#position === position && this.#events === events) return
    await this.#flushBehind()
    await this.fold.written()
  }
}
