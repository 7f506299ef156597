import type { Pool, PoolClient } from '@annals/platform/postgres'
import type { KeptEvent, RecipientFact } from '../recipients/recipient'

/** The request's fingerprint is of no use here, and a trace of what the person typed. */
function keptOf({ id, type, data, metadata }: RecipientFact['recorded']): KeptEvent {
  const { fingerprint: _, ...envelope } = metadata as Record<string, unknown>
  return { id, type, data, metadata: envelope }
}

/**
 * Keeps who can be written to, as the log tells it: sealed. Deliveries that waited for these recipients become due.
 * @param facts in the order of their streams. Each is read once; another first event of a known recipient is of a log that was
 *   restored, and written anew: the old one does not open with the key that there is now.
 */
export async function recordRecipients(client: PoolClient, facts: readonly RecipientFact[]): Promise<void> {
  if (facts.length === 0) return
  const latest = new Map(facts.map((fact) => [`${fact.part}|${fact.tenant}|${fact.id}`, fact]))
  const rows = [...latest.values()].map(({ tenant, id, part, recorded, expiresAt }) => ({
    tenant,
    user_id: id,
    part,
    event: keptOf(recorded),
    expires_at: expiresAt,
  }))
  const firsts = rows.filter(({ part }) => part === 'event')
  const changes = rows.filter(({ part }) => part !== 'event')
  if (firsts.length > 0) await recordFirsts(client, firsts)
  if (changes.length > 0)
    await client.query(
      `update recipient r set address = coalesce(x.address, r.address), phone = coalesce(x.phone, r.phone),
         profile = coalesce(x.profile, r.profile)
       from (
         select tenant, user_id, (jsonb_agg(event) filter (where part = 'address')) -> 0 as address,
           (jsonb_agg(event) filter (where part = 'phone')) -> 0 as phone,
           (jsonb_agg(event) filter (where part = 'profile')) -> 0 as profile
         from jsonb_to_recordset($1::jsonb) as y (tenant text, user_id text, part text, event jsonb)
         group by tenant, user_id
       ) as x
       where r.tenant = x.tenant and r.user_id = x.user_id`,
      [JSON.stringify(changes)],
    )
}

async function recordFirsts(client: PoolClient, rows: readonly { tenant: string; user_id: string }[]): Promise<void> {
  await client.query(
    `insert into recipient (tenant, user_id, event, expires_at)
     select tenant, user_id, event, expires_at
     from jsonb_to_recordset($1::jsonb) as x (tenant text, user_id text, event jsonb, expires_at timestamptz)
     on conflict on constraint recipient_pkey do update
       set event = excluded.event, expires_at = excluded.expires_at, address = null, phone = null, profile = null
       where recipient.event ->> 'id' <> excluded.event ->> 'id'`,
    [JSON.stringify(rows)],
  )
  await client.query(
    `update delivery set state = 'pending', next_attempt_at = now()
     where state = 'awaiting-recipient'
       and (tenant, recipient) in (select * from unnest($1::text[], $2::text[]))`,
    [rows.map(({ tenant }) => tenant), rows.map(({ user_id }) => user_id)],
  )
}

/** A challenge's row outlives it by a day: who asks why something was not sent still finds for what it was. */
const keptMs = 86_400_000
/** Of one round. */
const droppedMax = 1_000

/** Drops challenges that are long over. @returns how many. */
export async function dropExpired(pool: Pool): Promise<number> {
  const { rowCount } = await pool.query(
    `delete from recipient where (tenant, user_id) in (
       select tenant, user_id from recipient where expires_at < now() - $1 * interval '1 millisecond'
       order by expires_at limit $2 for update skip locked)`,
    [keptMs, droppedMax],
  )
  return rowCount ?? 0
}
