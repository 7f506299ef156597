import type { EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import { inTransaction, type Pool } from '@annals/platform/postgres'
import { databaseTime } from '../deliveries/clock'
import { park, recordIntents } from '../deliveries/intents'
import { recordRecipients } from '../deliveries/recipients'
import { dropUnread, takeUnread, unreadEvents, type UnreadEvent } from '../deliveries/unread'
import type { NotifierMetrics } from '../metrics'
import type { Rule } from '../rules/rule'
import type { AdmissionPolicy } from './admission'
import { planOf } from './plan'
import type { ReadRecord, EventTypes } from './read-record'
import { readReference } from './reference'

export interface CatchUpDeps {
  pool: Pool
  eventLog: Pick<EventLog, 'readStream'>
  eventTypes: EventTypes
  rules: readonly Rule[]
  admission: AdmissionPolicy
  mailDomain: string
  metrics: NotifierMetrics
  log: Logger
  onDue: () => void
}

const pageSize = 100

/**
 * Reads from the log what a release before this one set aside, since it did not know its type. Safe beside other instances. How old a
 * fact may be is judged now, as for every fact that is read late.
 * @returns how many events were caught up.
 */
export async function catchUp(deps: CatchUpDeps): Promise<number> {
  const { pool, eventLog, eventTypes, log } = deps
  const { known, wanted } = eventTypes
  await dropUnread(
    pool,
    [...known].filter((type) => !(wanted as ReadonlySet<string>).has(type)),
  )
  let done = 0
  for (let after = -1n; ;) {
    const page = await unreadEvents(pool, [...wanted], after, pageSize)
    for (const event of page) {
      const read = await readReference(eventLog, event, eventTypes, log)
      // The log does not answer, or the event was written by a release that is newer still.
      if (read && read.kind !== 'newer' && (await apply(event, read, deps))) done++
    }
    if (page.length < pageSize) return done
    after = page.at(-1)!.position
  }
}

/** @returns false when another instance has taken it, or nothing may be read now. */
async function apply(event: UnreadEvent, read: ReadRecord, deps: CatchUpDeps): Promise<boolean> {
  const { pool, rules, admission, mailDomain, metrics, log, onDue } = deps
  const plan = await inTransaction(pool, async (client) => {
    const { rows } = await client.query(
      'select where exists (select from deliveries_hold) or exists (select from log_state where refusal is not null)',
    )
    if (rows.length > 0 || !(await takeUnread(client, event))) return undefined
    // It stands where its stream had been read to: nothing is judged by revision here.
    const standing = {
      revisions: new Map([[event.stream, event.revision - 1]]),
      seenPosition: -1n,
      now: await databaseTime(client),
      gap: undefined,
    }
    const planned = planOf({ ...event, topicId: '' }, [{ offset: event.offset, read }], standing, { rules, admission })
    await recordRecipients(client, planned.recipients)
    const recorded = await recordIntents(client, planned.intents, mailDomain)
    await park(client, planned.parked)
    for (const { rule, channel, state } of recorded) metrics.intents.inc({ rule, channel, state })
    for (const { reason } of planned.parked) {
      metrics.parked.inc({ topic: event.topic })
      log.error({ eventId: event.id, eventType: event.type, stream: event.stream, reason }, 'event parked')
    }
    return planned
  })
  if (plan && plan.intents.length > 0) onDue()
  return plan !== undefined
}
