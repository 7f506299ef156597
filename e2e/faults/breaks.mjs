import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client'
import { placeOf } from '@annals/contracts'
import { Client } from 'pg'
import { kafkaOf, readTopics } from './check-topics.mjs'

/** Where the relay keeps how far it came: a group's offset on a topic without records, log position + 1. */
const relayCheckpoint = { groupId: 'annals.relay', topic: 'annals.relay.checkpoints' }
/** A relay that was killed publishes again within seconds. */
const relayWithinMs = 20_000

/**
 * One promise broken on purpose, to prove that the check would notice. `expects` is what it has to find more of than before.
 *
 * @typedef {object} Break
 * @property {string} says
 * @property {{ kind: string, place: string }} expects
 * @property {(system: BrokenSystem) => Promise<void> | void} apply
 *
 * @typedef {object} BrokenSystem
 * @property {Record<string, string>} env
 * @property {ReturnType<import('./load.mjs').createLoad>} load
 * @property {import('./check-log.mjs').LogEvent[]} events the log as it was before
 * @property {import('../../dev/stack/services.mjs').Services} services
 */

/** @type {Record<string, Break>} by what `--break` calls it */
export const breaks = {
  ack: {
    says: 'a command is claimed to have been acknowledged that never was',
    expects: { kind: 'lost', place: 'acknowledged' },
    apply({ load }) {
      const [known] = load.acknowledged.filter(({ kind }) => kind === 'create')
      load.acknowledged.push({ ...known, stream: `payment-${randomUUID()}` })
    },
  },
  'topic-double': {
    says: 'a record is published a second time',
    expects: { kind: 'doubled', place: 'topics' },
    apply: ({ env }) =>
      withTopics(env, async ({ records, publish }) => {
        await publish([records.at(-1)])
      }),
  },
  'relay-checkpoint': {
    says: 'the relay is put back by one event while it is down',
    expects: { kind: 'doubled', place: 'topics' },
    apply: ({ env, events, services }) =>
      withTopics(env, async ({ records, setRelayCheckpoint }) => {
        const published = events.filter(({ stream }) => placeOf(stream))
        await services.kill('relay')
        await setRelayCheckpoint(published.at(-2).position)
        await services.restart('relay')
        const deadline = Date.now() + relayWithinMs
        while ((await readTopics(env.KAFKA_BROKERS)).length === records.length && Date.now() < deadline)
          await delay(500)
      }),
  },
  'topic-order': {
    says: 'records are taken from the beginning of a partition and published again at its end',
    expects: { kind: 'reordered', place: 'topics' },
    apply: ({ env }) =>
      withTopics(env, async ({ records, publish, deleteUpTo }) => {
        const first = records.find(
          ({ key, headers }) =>
            headers.ce_revision === '0' &&
            records.some((other) => other.key === key && other.headers.ce_revision === '1'),
        )
        const taken = records.filter(
          ({ topic, partition, offset }) =>
            topic === first.topic && partition === first.partition && offset <= first.offset,
        )
        await deleteUpTo(first)
        await publish(taken)
      }),
  },
  'topic-loss': {
    says: 'a record is deleted from a topic',
    expects: { kind: 'lost', place: 'topics' },
    apply: ({ env }) => withTopics(env, ({ records, deleteUpTo }) => deleteUpTo(records[0])),
  },
  'read-model-row': {
    says: 'a row of a read model is deleted',
    expects: { kind: 'lost', place: 'read-models' },
    apply: ({ env }) =>
      changeOne(
        env.PROJECTION_DATABASE_URL,
        'delete from payments.payment where payment_id in (select payment_id from payments.payment limit 1)',
      ),
  },
  'read-model-count': {
    says: 'a fact is counted twice in a read model',
    expects: { kind: 'doubled', place: 'read-models' },
    apply: ({ env }) =>
      changeOne(
        env.PROJECTION_DATABASE_URL,
        `update payment_totals.payment_total set created_count = created_count + 1
         where (bucket, shard) in (select bucket, shard from payment_totals.payment_total limit 1)`,
      ),
  },
  'projection-checkpoint': {
    says: 'the position of a read model is moved back',
    expects: { kind: 'lost', place: 'positions' },
    apply: ({ env }) =>
      changeOne(
        env.PROJECTION_DATABASE_URL,
        `update annals.lane_checkpoint set position = position - 1
         where (topic, partition) in (select topic, partition from annals.lane_checkpoint where position > 0 limit 1)`,
      ),
  },
  delivery: {
    says: 'a recorded mail is deleted from the deliveries',
    expects: { kind: 'lost', place: 'mails' },
    apply: ({ env }) =>
      changeOne(env.NOTIFIER_DATABASE_URL, 'delete from delivery where id in (select id from delivery limit 1)'),
  },
  'delivery-double': {
    says: 'a mail is recorded a second time',
    expects: { kind: 'doubled', place: 'mails' },
    apply: ({ env }) =>
      changeOne(
        env.NOTIFIER_DATABASE_URL,
        `insert into delivery select (jsonb_populate_record(delivery, jsonb_build_object(
           'id', gen_random_uuid(), 'identity', '<again@annals.example>', 'recipient', recipient || ' again'))).*
         from delivery where state = 'accepted' limit 1`,
      ),
  },
  inbox: {
    says: 'the mail server forgets what it took',
    expects: { kind: 'lost', place: 'inbox' },
    async apply({ env }) {
      const { ok, status } = await fetch(`${env.MAIL_INBOX_URL}/api/messages`, { method: 'DELETE' })
      if (!ok) throw new Error(`the inbox answered ${status}`)
    },
  },
  attempt: {
    says: 'the attempt that brought a mail is struck from the record',
    expects: { kind: 'lost', place: 'attempts' },
    apply: ({ env }) =>
      changeOne(
        env.NOTIFIER_DATABASE_URL,
        `delete from attempt where (delivery_id, number) in
           (select delivery_id, number from attempt where outcome = 'accepted' limit 1)`,
      ),
  },
  'attempt-double': {
    says: 'a mail has arrived, and the attempt that brought it says that it did not',
    expects: { kind: 'doubled', place: 'attempts' },
    apply: ({ env }) =>
      changeOne(
        env.NOTIFIER_DATABASE_URL,
        `update attempt set outcome = 'transient' where (delivery_id, number) in
           (select delivery_id, number from attempt where outcome = 'accepted' limit 1)`,
      ),
  },
  'payment-gateway-double': {
    says: 'a payment is charged a second time under its key',
    expects: { kind: 'doubled', place: 'payment-gateway' },
    apply: ({ env }) => changeCharges(env, (lines, taken) => [...lines, taken.at(-1)]),
  },
  'payment-gateway-lost': {
    says: 'the payment gateway never carried out a charge that the log holds',
    expects: { kind: 'lost', place: 'payment-gateway' },
    apply: ({ env }) => changeCharges(env, (lines, taken) => lines.filter((line) => line !== taken[0])),
  },
  'payment-gateway-stray': {
    says: 'money is taken that no payment asked for',
    expects: { kind: 'wrong', place: 'payment-gateway' },
    async apply({ env }) {
      const response = await fetch(`${env.PAYMENT_GATEWAY_URL}/v1/charges`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': randomUUID(),
          authorization: `Bearer ${env.PAYMENT_GATEWAY_TOKEN}`,
        },
        body: JSON.stringify({ amountMinor: 1, currency: 'EUR', source: 'tok_visa' }),
        signal: AbortSignal.timeout(10_000),
      })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`the payment gateway answered ${response.status}`)
    },
  },
  log: {
    says: 'a fact is appended to the log a second time',
    expects: { kind: 'doubled', place: 'log' },
    async apply({ env, events }) {
      const { stream, type, data, metadata } = events.findLast((event) => event.type === 'payment.created')
      const client = EventStoreDBClient.connectionString(env.EVENTSTORE_URL)
      try {
        await client.appendToStream(stream, jsonEvent({ type, data, metadata }))
      } finally {
        await client.dispose()
      }
    },
  },
}

/**
 * Breaks promises, one after the other; each has to raise what it should raise.
 *
 * @param {string[]} names
 * @param {Record<string, Break>} known
 * @param {Awaited<ReturnType<typeof import('./inspection.mjs').inspect>>} inspection before anything was broken
 * @param {{ context: Omit<BrokenSystem, 'events'>, look: () => Promise<typeof inspection>, say: (text: string) => void }} options
 * @returns {Promise<{ inspection: typeof inspection, noticed: boolean }>} the last inspection; whether each was found
 */
export async function breakEach(names, known, inspection, { context, look, say }) {
  let [latest, noticed] = [inspection, true]
  for (const name of names) {
    const { says, expects, apply } = known[name]
    const { kind, place } = expects
    const before = latest.findings.count(kind, place)
    say(`breaking a promise: ${says}`)
    await apply({ ...context, events: latest.events })
    latest = await look()
    const found = latest.findings.count(kind, place) - before
    say(found > 0 ? `  noticed: ${found} ${kind} in ${place}` : `  NOT NOTICED: nothing ${kind} in ${place}`)
    noticed &&= found > 0
  }
  return { inspection: latest, noticed }
}

/** Runs one statement that has to change exactly one row. @param {string} url @param {string} sql */
export async function changeOne(url, sql) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 10_000 })
  await client.connect()
  try {
    const { rowCount } = await client.query(sql)
    if (rowCount !== 1) throw new Error(`nothing was broken: ${rowCount} rows changed by ${sql}`)
  } finally {
    await client.end()
  }
}

/** Spoils the payment gateway's record: its lines, and those of them under which money was taken. */
function changeCharges({ PAYMENT_GATEWAY_CHARGES_FILE: file }, change) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const taken = lines.filter((line) => JSON.parse(line).result?.status === 'succeeded')
  writeFileSync(
    file,
    change(lines, taken)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

/** Gives `work` the topics' records and the means to spoil them. */
async function withTopics({ KAFKA_BROKERS }, work) {
  const records = await readTopics(KAFKA_BROKERS)
  const kafka = kafkaOf(KAFKA_BROKERS)
  const admin = kafka.admin()
  const producer = kafka.producer({ idempotent: false })
  await admin.connect()
  await producer.connect()
  try {
    await work({
      records,
      async publish(spoiled) {
        for (const { topic, key, value, headers } of spoiled) {
          const { partition } = placeOf(key)
          await producer.send({ topic, messages: [{ key, value, headers, partition }] })
        }
      },
      async deleteUpTo({ topic, partition, offset }) {
        // Deleting asks the metadata that this has loaded, and loads none itself.
        await admin.fetchTopicOffsets(topic)
        await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset + 1n) }] })
      },
      setRelayCheckpoint: (position) =>
        admin.setOffsets({ ...relayCheckpoint, partitions: [{ partition: 0, offset: String(position + 1n) }] }),
    })
  } finally {
    await producer.disconnect()
    await admin.disconnect()
  }
}
