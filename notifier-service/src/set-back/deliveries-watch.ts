import { pause } from '@annals/platform/backoff'
import type { CommittedOffset } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { inTransaction, type Pool } from '@annals/platform/postgres'
import { movedPlaces } from '../deliveries/progress'
import { witnessesIn, type PlacedWitness } from './witness'

export interface DeliveriesWatchDeps {
  pool: Pool
  /** What this service's group has committed to Kafka. */
  committed: () => Promise<readonly CommittedOffset[]>
  log: Logger
}

/** Deliveries are compared with their witnesses, again and again. */
export interface DeliveriesWatch {
  /** Resolves when they were compared for the first time: before that, nothing may be sent. Rejects never. */
  compared: Promise<void>
  /** Compares now. @throws Error when Kafka or the database does not answer. */
  compare(): Promise<void>
  /** The number of moves that the deliveries must have had by now: of those that were set back, nothing is claimed. */
  movesSeen(): bigint
  /** Told by claims, which see it more often. */
  sawMoves(moves: bigint): void
  stop(): Promise<void>
}

const compareEveryMs = 30_000
/** Until the first comparison has worked: nothing is sent meanwhile. */
const retryEveryMs = 1_000

/** Taken by whoever holds the deliveries, or accepts them, for their transaction; a number of our own. */
export const lockHoldSql = 'select pg_advisory_xact_lock(6021023)'

/** What an operator may do, as complete commands. */
export const setBackWords = (witnesses: readonly PlacedWitness[]): string => {
  const places = witnesses.map(
    ({ place, offset }) => `${place.topic}/${place.partition} had been read up to offset ${offset}`,
  )
  return [
    `The deliveries were set back: ${places.join('; ')}, and their database does not know this any more. Nothing is read or sent.`,
    '1. Restore a newer backup of the deliveries database, or bring back the server that has it. The notifier then continues by itself.',
    '2. Send mails again that may have been sent already, under the same Message-ID:',
    '     npm run notifier -- accept-deliveries --mails repeat --why "<reason>"',
    '3. Do not send mails again that may have been sent already. They are recorded as skipped:',
    '     npm run notifier -- accept-deliveries --mails skip --why "<reason>"',
    'Text messages that may have been sent are never repeated on a guess: 2 and 3 record them as unknown.',
  ].join('\n')
}

/**
 * Notices that deliveries were set back. Witnesses are what the group has committed to Kafka after each batch, and what this process
 * remembers of the database itself. Kafka is asked before the database: what it tells was durable in the database before.
 */
export function watchDeliveries({ pool, committed, log }: DeliveriesWatchDeps): DeliveriesWatch {
  const ending = new AbortController()
  const remembered = new Map<string, PlacedWitness>()
  let movesSeen = 0n
  /** When the hold was found that this process has spoken of. */
  let saidOf: string | undefined
  const nameOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`

  async function compare(): Promise<void> {
    const witnesses = witnessesIn(await committed())
    const places = await movedPlaces(pool)
    const moves = new Map(places.map((row) => [nameOf(row), row.moves]))
    const ahead = new Map<string, PlacedWitness>()
    for (const witness of [...remembered.values(), ...witnesses]) {
      const name = nameOf(witness.place)
      const known = ahead.get(name)?.moves ?? Number(moves.get(name) ?? 0n)
      if (witness.moves > known) ahead.set(name, witness)
    }
    if (ahead.size > 0) await hold([...ahead.values()])
    await sayHold()
    if (ahead.size > 0) return
    for (const { topic, partition, moves, nextOffset, position, topicId, now } of places) {
      const place = { topic, partition }
      remembered.set(nameOf(place), {
        v: 1,
        place,
        topic: topicId ?? '',
        offset: String(nextOffset),
        moves: Number(moves),
        position: String(position),
        at: now,
      })
    }
    sawMoves(places.reduce((sum, { moves }) => sum + moves, 0n))
  }

  async function hold(witnesses: readonly PlacedWitness[]): Promise<void> {
    await inTransaction(pool, async (client) => {
      // An operator may have accepted the deliveries since they were read here: looked at once more, with nobody accepting meanwhile.
      await client.query(lockHoldSql)
      await client.query(
        `insert into deliveries_hold (witnesses) select $1::jsonb where exists (
           select from jsonb_to_recordset($1::jsonb) as w (place jsonb, moves bigint)
           left join checkpoint c on c.topic = w.place ->> 'topic' and c.partition = (w.place ->> 'partition')::integer
           where w.moves > coalesce(c.moves, 0))
         on conflict do nothing`,
        [JSON.stringify(witnesses)],
      )
    })
  }

  /** Every process says so, whichever found it. */
  async function sayHold(): Promise<void> {
    const { rows } = await pool.query<{ found_at: string; witnesses: PlacedWitness[] }>(
      'select found_at, witnesses from deliveries_hold',
    )
    if (rows[0] && rows[0].found_at !== saidOf) log.fatal(setBackWords(rows[0].witnesses))
    saidOf = rows[0]?.found_at
  }

  function sawMoves(moves: bigint): void {
    if (moves > movesSeen) movesSeen = moves
  }

  let isCompared = (): void => undefined
  const compared = new Promise<void>((resolve) => {
    isCompared = resolve
  })
  const running = (async () => {
    for (let done = false; !ending.signal.aborted;) {
      try {
        await compare()
        done = true
        isCompared()
      } catch (error) {
        log.warn({ err: error }, 'the deliveries could not be compared with their witnesses in Kafka')
      }
      await pause(done ? compareEveryMs : retryEveryMs, ending.signal)
    }
  })()

  return {
    compared,
    compare,
    movesSeen: () => movesSeen,
    sawMoves,
    async stop() {
      ending.abort()
      await running
    },
  }
}

/** For readiness. @throws Error while the deliveries are held. */
export async function requireNotSetBack(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ witnesses: PlacedWitness[] }>('select witnesses from deliveries_hold')
  if (rows[0]) throw new Error(setBackWords(rows[0].witnesses))
}
