import type { Pool } from '@annals/platform/postgres'
import type { Recipient } from '../recipients/recipient'
import { dropExpired } from './recipients'
import type { ChannelName, Outcome, Settlement } from '../vocabulary'

/** A delivery that this worker holds, and the number of the attempt that it is about to make. */
export interface Claim {
  id: string
  attempt: number
  /** An earlier attempt ended unknown: the message may have arrived already. */
  doubt: boolean
  rule: string
  channel: ChannelName
  identity: string
  template: string
  data: Record<string, string>
  correlationId: string
  traceparent: string | null
  /** Type of the event that asked for it. */
  eventType: string
  /** As the log tells of the recipient, sealed; `null` if that vanished. */
  recipient: Recipient | null
  /** The database's time of the claim, epoch ms. */
  now: number
}

/** An attempt whose worker stopped renewing its lease. */
export interface LostAttempt {
  id: string
  attempt: number
  doubt: boolean
  channel: ChannelName
}

/**
 * What the worker does to deliveries. Times are the database's own, never a process's. Statements of one call are one
 * transaction.
 */
export interface Deliveries {
  /**
   * Takes due deliveries, oldest first, and records the attempt that is about to be made of each. None while deliveries are held, or
   * stand before where it was seen.
   * @param limit at most so many.
   */
  claim(channel: ChannelName, limit: number, leaseMs: number, worker: string): Promise<Claim[]>
  /** Keeps claims that are still being worked on. */
  renew(claims: readonly Claim[], leaseMs: number): Promise<void>
  /**
   * Records an attempt's outcome and what becomes of its delivery. An attempt that was already given up as lost may still
   * report; its acceptance is proof, and ends a delivery that was waiting to be repeated.
   */
  settle(claim: Pick<Claim, 'id' | 'attempt'>, outcome: Outcome, settlement: Settlement): Promise<void>
  /** Undoes a claim of which nothing was sent: due again at once, or ended for a reason of ours. */
  withdraw(claim: Claim, end?: { state: 'suppressed' | 'rejected'; reason: string }): Promise<void>
  /** Claims whose lease has run out: the process that held them is gone, or hangs. */
  lost(limit: number): Promise<LostAttempt[]>
  /** As `settle`, unless the worker has turned up again meanwhile. */
  settleLost(attempt: LostAttempt, outcome: Outcome, settlement: Settlement): Promise<void>
  /** Makes due what waits for a recipient who is known by now, and ends what has waited longer than `ageMsMax`. */
  sweep(ageMsMax: number): Promise<{ awakened: number; expired: number }>
  /** Drops recipients that were challenges and are long over. */
  dropExpired(): Promise<number>
}

/** What a worker that was given up as lost may still prove: that it was taken, or what became of the last attempt. */
const isProof = `($3 = 'accepted' and state in ('pending', 'unknown'))
  or ($3 <> 'unknown' and state = 'unknown' and attempts = $2)`

const settleSql = (held: string) => `
with finished as (
  update attempt set outcome = $3, code = $4, finished_at = now()
  where delivery_id = $1 and number = $2 and (outcome is null or outcome = 'unknown')
    and exists (select from delivery where id = $1 and (${held} or state <> 'sending' or attempts <> $2))
)
update delivery set state = $5, reason = $6, lease_until = null,
  next_attempt_at = case when $5 = 'pending' then now() + $7::double precision * interval '1 millisecond' end,
  settled_at = case when $5 not in ('pending', 'unknown') then now() end
where id = $1 and ((${held}) or (${isProof}))`

const heldByAttempt = `state = 'sending' and attempts = $2`

/** How often the checkpoints have moved by now, as whoever sees it remembers. */
export interface MovesSeen {
  movesSeen(): bigint
  sawMoves(moves: bigint): void
}

const nobody: MovesSeen = { movesSeen: () => 0n, sawMoves: () => undefined }

/** @param memory of how far the deliveries have come: of those that stand before that, since they were set back, nothing is claimed. */
export function createDeliveries(pool: Pool, memory: MovesSeen = nobody): Deliveries {
  const settle = (sql: string, { id, attempt }: Pick<Claim, 'id' | 'attempt'>, outcome: Outcome, to: Settlement) =>
    pool.query(sql, [
      id,
      attempt,
      outcome.kind,
      outcome.code,
      to.state,
      to.reason,
      to.state === 'pending' ? to.waitMs : null,
    ])

  return {
    async claim(channel, limit, leaseMs, worker) {
      const { rows } = await pool.query<Claim & { moves: bigint }>(
        `with standing as materialized (
           select coalesce(sum(moves), 0)::bigint as moves, exists (select from deliveries_hold) as held from checkpoint
         ), due as (
           select id from delivery where state = 'pending' and channel = $1 and next_attempt_at <= now()
             and (select moves >= $5 and not held from standing)
           order by next_attempt_at limit $2 for update skip locked
         ), claimed as (
           update delivery d set state = 'sending', attempts = attempts + 1, next_attempt_at = null,
             lease_until = now() + $3 * interval '1 millisecond'
           from due where d.id = due.id returning d.*
         ), attempted as (
           insert into attempt (delivery_id, number, worker) select id, attempts, $4 from claimed
         )
         select c.id, c.attempts as attempt, c.rule, c.channel, c.identity, c.template, c.data,
           c.correlation_id as "correlationId", c.traceparent, c.event_type as "eventType",
           case when r.event is not null then jsonb_build_object(
             'event', r.event, 'address', r.address, 'phone', r.phone, 'profile', r.profile) end as recipient,
           extract(epoch from now())::double precision * 1000 as now,
           exists (select from attempt a where a.delivery_id = c.id and a.outcome = 'unknown') as doubt,
           (select moves from standing) as moves
         from claimed c left join recipient r on r.tenant = c.tenant and r.user_id = c.recipient`,
        [channel, limit, leaseMs, worker, memory.movesSeen()],
      )
      if (rows[0]) memory.sawMoves(rows[0].moves)
      return rows
    },

    async renew(claims, leaseMs) {
      if (claims.length === 0) return
      await pool.query(
        `update delivery set lease_until = now() + $3 * interval '1 millisecond'
         where state = 'sending' and (id, attempts) in (select * from unnest($1::uuid[], $2::integer[]))`,
        [claims.map(({ id }) => id), claims.map(({ attempt }) => attempt), leaseMs],
      )
    },

    async settle(claim, outcome, settlement) {
      await settle(settleSql(heldByAttempt), claim, outcome, settlement)
    },

    async withdraw({ id, attempt }, end) {
      await pool.query(
        `with undone as (
           update delivery set attempts = attempts - 1, lease_until = null, state = $3, reason = $4,
             next_attempt_at = case when $3 = 'pending' then now() end,
             settled_at = case when $3 <> 'pending' then now() end
           where id = $1 and state = 'sending' and attempts = $2 returning id
         )
         delete from attempt where delivery_id in (select id from undone) and number = $2`,
        [id, attempt, end?.state ?? 'pending', end?.reason ?? null],
      )
    },

    async lost(limit) {
      const { rows } = await pool.query<LostAttempt>(
        `select id, attempts as attempt, channel,
           exists (select from attempt a where a.delivery_id = d.id and a.outcome = 'unknown') as doubt
         from delivery d where state = 'sending' and lease_until < now() order by lease_until limit $1`,
        [limit],
      )
      return rows
    },

    async settleLost(attempt, outcome, settlement) {
      await settle(settleSql(`${heldByAttempt} and lease_until < now()`), attempt, outcome, settlement)
    },

    async sweep(ageMsMax) {
      // Intake wakes them itself; this catches a user and a payment that were committed at the same moment.
      const awakened = await pool.query(
        `update delivery d set state = 'pending', next_attempt_at = now() from recipient r
         where d.state = 'awaiting-recipient' and r.tenant = d.tenant and r.user_id = d.recipient`,
      )
      const expired = await pool.query(
        `update delivery d set state = ended.state, next_attempt_at = null,
           reason = case d.state when 'pending' then 'waited-too-long' else 'recipient-never-known' end,
           settled_at = case when ended.state <> 'unknown' then now() end
         from delivery o cross join lateral (select case
           when o.attempts = 0 then 'expired'
           when exists (select from attempt a where a.delivery_id = o.id and a.outcome = 'unknown') then 'unknown'
           else 'exhausted' end as state) as ended
         where o.id = d.id and d.state in ('awaiting-recipient', 'pending')
           and d.recorded_at < now() - $1 * interval '1 millisecond'`,
        [ageMsMax],
      )
      return { awakened: awakened.rowCount ?? 0, expired: expired.rowCount ?? 0 }
    },

    dropExpired: () => dropExpired(pool),
  }
}
