import { pongoSingleStreamProjection } from '@event-driven-io/emmett-postgresql'
import { evolve } from './emmett-evolve.mjs'

const collectionName = 'payments'

/**
 * The read model `payments` as a document of Pongo for each payment stream: the same columns, by the same rules as
 * `projection-service/src/projections/payments/payments.ts`.
 */
export const paymentsOf = () =>
  pongoSingleStreamProjection({
    collectionName,
    canHandle: [
      'payment.created',
      'payment.process_started',
      'payment.processed',
      'payment.failed',
      'payment.outcome_unknown',
    ],
    evolve,
  })

/** Rows of both read models in one form: key, and a hash over all that is in the row. */
const canonical = (columns) => `hashtextextended(concat_ws('|', ${columns.join(', ')}), 0)::text as hash`
const text = (name) => `coalesce(data->>'${name}', '-')`
const ms = (name) => `(extract(epoch from ${name}) * 1000)::bigint`

const theirs = `select substr(_id, length('payment-') + 1) as key, ${canonical(
  ['userId', 'status', 'amountMinor', 'currency', 'methodType', 'description', 'failureCode', 'gatewayReference']
    .concat(['attempts', 'createdAt', 'updatedAt', 'revision'])
    .map(text),
)} from ${collectionName}`

const ours = `select payment_id::text as key, ${canonical([
  ...['user_id', 'status', 'amount_minor', 'currency', 'method_type', 'description', 'failure_code'].map(
    (name) => `coalesce(${name}::text, '-')`,
  ),
  `coalesce(gateway_reference, '-')`,
  'attempts',
  ms('created_at'),
  ms('updated_at'),
  'revision',
])} from payments.payment`

/**
 * Compares the two read models, row by row and column by column.
 *
 * @param {import('pg').Client} annals @param {import('pg').Client} emmett each connected to its own database
 * @returns {Promise<{ rows: number, expected: number, missing: number, different: number }>} `rows` there, `expected` here
 */
export async function comparePayments(annals, emmett) {
  const { rows: wanted } = await annals.query(ours)
  const { rows: found } = await emmett.query(theirs)
  const hashes = new Map(found.map(({ key, hash }) => [key, hash]))
  const missing = wanted.filter(({ key }) => !hashes.has(key)).length
  const different = wanted.filter(({ key, hash }) => hashes.has(key) && hashes.get(key) !== hash).length
  return { rows: found.length, expected: wanted.length, missing, different }
}
