import { inTransaction, type Pool, type PoolClient } from '@annals/platform/postgres'
import { setBackReason } from '../deliveries/intents'
import { addMoves, beginAnew, raiseMoves } from '../deliveries/progress'
import { lockHoldSql } from './deliveries-watch'
import type { PlacedWitness } from './witness'

/** Who decided, and why; kept with the action. */
export interface Decision {
  who: string
  why: string
}

/** What was asked for does not apply to how things stand. */
export class NothingToAccept extends Error {
  override readonly name = 'NothingToAccept'
}

/**
 * By so much every partition's count of moves jumps when deliveries are accepted that were set back: past whatever a process or a witness
 * remembers of them.
 */
const movesJump = 1_000_000

const recordAction = (client: PoolClient, action: string, { who, why }: Decision, details: object) =>
  client.query('insert into operator_action (who, action, why, details) values ($1, $2, $3, $4)', [
    who,
    action,
    why,
    JSON.stringify(details),
  ])

export interface AcceptedDeliveries {
  witnesses: PlacedWitness[]
  /** Deliveries that had not ended in the backup, and may have since. */
  repeated: number
  skipped: number
  unknown: number
}

/**
 * Lets deliveries that were set back go on. Their partitions are read again from where they stand; up to the witnesses, mails are repeated
 * under their Message-ID or recorded as skipped, and text messages recorded as unknown. So is what is on record and had not ended.
 * @throws NothingToAccept when they are not held.
 */
export function acceptDeliveries(
  pool: Pool,
  mails: 'repeat' | 'skip',
  decision: Decision,
): Promise<AcceptedDeliveries> {
  return inTransaction(pool, async (client) => {
    await client.query(lockHoldSql)
    const held = await client.query<{ witnesses: PlacedWitness[] }>('delete from deliveries_hold returning witnesses')
    const { witnesses } = held.rows[0] ?? {}
    if (!witnesses) throw new NothingToAccept('the deliveries are not held: there is nothing to accept')
    for (const { place, topic, offset, position, at, moves } of witnesses) {
      await client.query(
        `insert into deliveries_gap (topic, partition, topic_id, until_offset, until_position, until_at, mails)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (topic, partition) do update set topic_id = excluded.topic_id, until_offset = excluded.until_offset,
           until_position = excluded.until_position, until_at = excluded.until_at, mails = excluded.mails, accepted_at = now()`,
        [place.topic, place.partition, topic, offset, position, at, mails],
      )
      await raiseMoves(client, place, moves)
    }
    await addMoves(client, movesJump)
    // What was recorded since the restore was not sent before it.
    const lastAt = witnesses.map(({ at }) => at).reduce((latest, at) => (at > latest ? at : latest))
    const open = `state in ('awaiting-recipient', 'pending', 'sending') and recorded_at <= $1`
    const unknown = await client.query(
      `update delivery set state = 'unknown', reason = $2, next_attempt_at = null, lease_until = null
       where ${open} and channel <> 'email'`,
      [lastAt, setBackReason],
    )
    const skipped =
      mails === 'repeat'
        ? undefined
        : await client.query(
            `update delivery set state = 'skipped', reason = $2, next_attempt_at = null, lease_until = null, settled_at = now()
             where ${open} and channel = 'email'`,
            [lastAt, setBackReason],
          )
    const left = await client.query<{ n: number }>(
      `select count(*)::integer as n from delivery where ${open} and channel = 'email'`,
      [lastAt],
    )
    const accepted = {
      witnesses,
      repeated: left.rows[0]!.n,
      skipped: skipped?.rowCount ?? 0,
      unknown: unknown.rowCount ?? 0,
    }
    await recordAction(client, `accept-deliveries --mails ${mails}`, decision, accepted)
    return accepted
  })
}

/**
 * Takes the log as it is now for the one to read: stream revisions and places begin anew, so that everything is read once more. What is
 * in the deliveries stays, and tells a message that was recorded from one that was not.
 * @param identity of the log as it is now; `undefined`: it is empty.
 * @throws NothingToAccept when the log is not refused.
 */
export function acceptLog(pool: Pool, identity: string | undefined, decision: Decision): Promise<void> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ refusal: string | null; identity: string | null; position: bigint | null }>(
      'select refusal, identity, position from log_state for update',
    )
    const { refusal } = rows[0] ?? {}
    if (!refusal) throw new NothingToAccept('the event log is not refused: there is nothing to accept')
    await beginAnew(client)
    await client.query(
      'update log_state set identity = $1, position = null, event_id = null, refusal = null, checked_at = now()',
      [identity ?? null],
    )
    await recordAction(client, 'accept-log', decision, {
      refusal,
      former: { identity: rows[0]!.identity, position: rows[0]!.position === null ? null : String(rows[0]!.position) },
      identity: identity ?? null,
    })
  })
}
