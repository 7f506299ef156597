import { placeOf, type RecordedEvent } from '@annals/contracts'
import type { Pool } from '@annals/platform/postgres'

/** Events that make a line of a person's activity. */
const activityTypes = new Set(['payment.created', 'payment.processed', 'session.ended'])
/** Read models that are compared, and which events each one reads. */
const reads = {
  payments: (event: RecordedEvent) => event.stream.startsWith('payment-'),
  payment_totals: (event: RecordedEvent) => event.stream.startsWith('payment-'),
  payment_history: (event: RecordedEvent) => event.stream.startsWith('payment-'),
  activity: () => true,
}
export const comparedModels = Object.keys(reads) as (keyof typeof reads)[]

/** Rows as `key: value` texts, of each read model, its streams and its checkpoints. */
type Picture = Record<string, string[]>

/**
 * What the read models must hold after these events, counted here and not by any fold of theirs: the events are those of
 * `paymentFacts` and ends of sessions, in the order in which they were published.
 */
export function expectedRows(events: readonly RecordedEvent[]): Picture {
  const ofPayments = events.filter(reads.payments)
  const status = new Map<string, string>()
  const totals = { created: 0, completed: 0, minor: 0 }
  for (const { type, stream, data } of ofPayments) {
    const { paymentId, amount } = data as { paymentId: string; amount?: { minor: number } }
    const now = { 'payment.created': 'pending', 'payment.process_started': 'processing' }[type] ?? 'completed'
    status.set(stream, `${paymentId}: ${now}`)
    if (type === 'payment.created') totals.created++
    if (type !== 'payment.processed') continue
    totals.completed++
    totals.minor += amount!.minor
  }
  const picture: Picture = {
    payments: [...status.values()],
    payment_totals: [`created ${totals.created}, completed ${totals.completed}, minor ${totals.minor}`],
    payment_history: ofPayments.map(({ id, type }) => `${id}: ${type}`),
    activity: events.filter(({ type }) => activityTypes.has(type)).map(({ id, type }) => `${id}: ${type}`),
  }
  for (const model of comparedModels) {
    const streams = new Map<string, number>()
    const ends = new Map<string, bigint>()
    for (const event of events.filter(reads[model])) {
      const { topic, partition } = placeOf(event.stream)!
      streams.set(event.stream, event.revision)
      ends.set(`${topic}/${partition}`, event.position)
    }
    picture[`${model} streams`] = [...streams].map(([stream, revision]) => `${stream}: ${revision}`)
    picture[`${model} checkpoints`] = [...ends].map(([place, end]) => `${place}: ${end}`)
    picture[`${model} parked`] = []
  }
  return picture
}

const queries: Record<string, string> = {
  payments: `select payment_id || ': ' || status as line from payments.payment`,
  payment_totals: `select 'created ' || coalesce(sum(created_count), 0) || ', completed ' || coalesce(sum(completed_count), 0)
    || ', minor ' || coalesce(sum(completed_minor), 0) as line from payment_totals.payment_total`,
  payment_history: `select event_id || ': ' || type as line from payment_history.payment_event`,
  activity: `select event_id || ': ' || type as line from activity.activity`,
}
for (const model of comparedModels) {
  queries[`${model} streams`] = `select stream || ': ' || revision as line from ${model}.stream`
  queries[`${model} checkpoints`] =
    `select topic || '/' || partition || ': ' || position as line from ${model}.checkpoint where position >= 0`
  queries[`${model} parked`] = `select stream || ': ' || coalesce(error, 'waits') as line from ${model}.parked`
}

export async function rowsIn(pool: Pool): Promise<Picture> {
  const picture: Picture = {}
  for (const [name, sql] of Object.entries(queries))
    picture[name] = (await pool.query<{ line: string }>(sql)).rows.map(({ line }) => line)
  return picture
}

/** @returns what is missing (-), too much (+) or there twice (+), by read model; `{}` when both are the same. */
export function differences(expected: Picture, found: Picture): Record<string, string[]> {
  const wrong: Record<string, string[]> = {}
  for (const [name, lines] of Object.entries(expected)) {
    const open = new Map<string, number>()
    for (const line of lines) open.set(line, (open.get(line) ?? 0) + 1)
    const surplus = found[name]!.filter((line) => {
      const left = open.get(line) ?? 0
      open.set(line, left - 1)
      return left <= 0
    })
    const missing = [...open].filter(([, left]) => left > 0).map(([line]) => `- ${line}`)
    const all = [...missing, ...surplus.map((line) => `+ ${line}`)]
    // A few name the kind of fault; all of them would hide it.
    if (all.length > 0) wrong[name] = [...all.slice(0, 5), ...(all.length > 5 ? [`and ${all.length - 5} more`] : [])]
  }
  return wrong
}
