import type { AnnalsEvent, RecordedEvent } from '@annals/contracts'
import { derivedId } from '@annals/platform/ids'
import type { PoolClient } from '@annals/platform/postgres'
import type { ChannelName, Intent, SkipReason } from '../vocabulary'

/** An intent together with the event that caused it. */
export interface IntentRecord {
  intent: Intent
  event: AnnalsEvent
  skip: SkipReason | undefined
  /**
   * Deliveries were set back behind this event: its message may have gone out already. What people decided about mails; others can not
   * be told from a second one, and are recorded as `unknown`.
   */
  sentBefore?: 'repeat' | 'skip' | undefined
}

export interface ParkedRecord {
  topic: string
  partition: number
  offset: bigint
  /** The event that it is, if it says so. */
  at: Pick<RecordedEvent, 'id' | 'type' | 'stream'> | undefined
  reason: string
}

/** What was recorded now; what had been recorded before is not among it. */
export interface RecordedIntent {
  rule: string
  channel: ChannelName
  state: 'pending' | 'awaiting-recipient' | 'skipped' | 'unknown'
}

/** Why a message is not sent that may have gone out before deliveries were set back. */
export const setBackReason = 'deliveries-set-back'

/** The one identity of a delivery: the same for the same event, rule and recipient, in every process and at every time. */
export const deliveryIdOf = ({ intent, event }: Pick<IntentRecord, 'intent' | 'event'>): string =>
  derivedId('delivery', event.envelope.tenant, event.id, intent.rule, intent.recipient)

/**
 * What the receiving side sees of that identity. Kept with the delivery, so that another configured domain does not change it.
 * @see RFC 5322 § 3.6.4 for the form of a Message-ID.
 */
const identityOf = (channel: ChannelName, deliveryId: string, mailDomain: string): string =>
  channel === 'email' ? `<${deliveryId}@${mailDomain}>` : deliveryId

/** The state that an intent begins in, where that is decided already; the recipient decides otherwise. */
function beginningOf({
  intent,
  skip,
  sentBefore,
}: IntentRecord): { state: 'skipped' | 'unknown'; reason: string } | null {
  if (sentBefore && intent.channel !== 'email') return { state: 'unknown', reason: setBackReason }
  if (skip) return { state: 'skipped', reason: skip }
  return sentBefore === 'skip' ? { state: 'skipped', reason: setBackReason } : null
}

/**
 * Records intents that are not yet recorded. One whose recipient nobody knows yet waits: users and payments travel on
 * different topics, and nothing orders the one before the other.
 */
export async function recordIntents(
  client: PoolClient,
  records: readonly IntentRecord[],
  mailDomain: string,
): Promise<RecordedIntent[]> {
  if (records.length === 0) return []
  const rows = records.map((record) => {
    const { intent, event } = record
    const beginning = beginningOf(record)
    const id = deliveryIdOf(record)
    return {
      id,
      tenant: event.envelope.tenant,
      event_id: event.id,
      event_type: event.type,
      rule: intent.rule,
      recipient: intent.recipient,
      channel: intent.channel,
      identity: identityOf(intent.channel, id, mailDomain),
      template: intent.template,
      data: intent.data,
      beginning: beginning?.state ?? null,
      reason: beginning?.reason ?? null,
      correlation_id: event.envelope.correlationId,
      traceparent: event.envelope.traceparent ?? null,
      occurred_at: event.at,
    }
  })
  const { rows: recorded } = await client.query<RecordedIntent>(
    `insert into delivery (id, tenant, event_id, event_type, rule, recipient, channel, identity, template, data, state,
       reason, next_attempt_at, settled_at, correlation_id, traceparent, occurred_at)
     select id, tenant, event_id, event_type, rule, recipient, channel, identity, template, data, state, reason,
       case when state = 'pending' then now() end, case when state = 'skipped' then now() end,
       correlation_id, traceparent, occurred_at
     from jsonb_to_recordset($1::jsonb) as x (id uuid, tenant text, event_id uuid, event_type text, rule text,
       recipient text, channel text, identity text, template text, data jsonb, beginning text, reason text,
       correlation_id text, traceparent text, occurred_at timestamptz)
     cross join lateral (select case
       when beginning is not null then beginning
       when exists (select from recipient r where r.tenant = x.tenant and r.user_id = x.recipient) then 'pending'
       else 'awaiting-recipient' end as state) as decided
     on conflict do nothing
     returning rule, channel, state`,
    [JSON.stringify(rows)],
  )
  return recorded
}

/** Keeps the place and the reason of records that can not be read; their content stays where it is. */
export async function park(client: PoolClient, records: readonly ParkedRecord[]): Promise<void> {
  for (const { topic, partition, offset, at, reason } of records) {
    await client.query(
      `insert into parked (topic, partition, record_offset, event_id, event_type, stream, reason)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
      [topic, partition, offset, at?.id, at?.type, at?.stream, reason.slice(0, 500)],
    )
  }
}
