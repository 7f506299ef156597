import { Client } from 'pg'

/** Some ten thousand rows take a second. */
const queryMsMax = 30_000
/** What the mail sandbox keeps and shows at most. */
const mailsMax = 20_000

/**
 * @typedef {object} IntendedMail
 * @property {string} eventId the fact that asks for it
 * @property {string} rule
 * @property {string} userId whom it is for
 * @property {boolean} tooOld it is recorded, and held back
 *
 * @typedef {object} LedgerRow
 * @property {string} eventId
 * @property {string} rule
 * @property {string} recipient user id
 * @property {string} messageId
 * @property {string} state `accepted` once a mail server took it; `skipped`: held back
 *
 * @typedef {object} ReceivedMail
 * @property {string} messageId
 * @property {string[]} to
 */

/** Facts that are older than this when they are first seen send nothing any more. */
const mailAgeMsMax = 72 * 3600 * 1000

/** Which fact asks for which mail: the product's promise to its users, written down once more. */
const ruleOf = {
  'user.registered': 'welcome',
  'payment.processed': 'payment-confirmation',
  'payment.failed': 'payment-failed',
}

/** @param {string} url of the notifier's database @returns {Promise<LedgerRow[]>} */
export async function readLedger(url) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: queryMsMax })
  await client.connect()
  try {
    const { rows } = await client.query(
      `select event_id::text as "eventId", rule, recipient, identity as "messageId", state from delivery`,
    )
    return rows
  } finally {
    await client.end()
  }
}

/** @param {string} url of the mail sandbox's API @returns {Promise<ReceivedMail[]>} */
export async function readInbox(url) {
  const response = await fetch(`${url}/api/messages?limit=${mailsMax}`, { signal: AbortSignal.timeout(queryMsMax) })
  if (!response.ok) throw new Error(`the inbox answered ${response.status}`)
  const { total, messages } = await response.json()
  if (total > messages.length) throw new Error(`the inbox holds ${total} mails, and shows ${messages.length} at once`)
  return messages.map(({ messageId, envelope }) => ({ messageId, to: envelope.to }))
}

/** @param {import('./check-log.mjs').LogEvent[]} events the newest of them happened just now @returns {IntendedMail[]} */
export function intendedMails(events) {
  const newest = events.reduce((latest, { metadata }) => Math.max(latest, Date.parse(metadata.occurredAt)), 0)
  return events
    .filter(({ type }) => Object.hasOwn(ruleOf, type))
    .map(({ id, type, data, metadata }) => {
      const tooOld = newest - Date.parse(metadata.occurredAt) > mailAgeMsMax
      return { eventId: id, rule: ruleOf[type], userId: data.userId, tooOld }
    })
}

/**
 * Promise 4: each intended mail was recorded exactly once, under a Message-ID of its own, and arrived at its person at least once
 * (SMTP knows no better promise: a server that took a mail and died before its answer is asked again).
 *
 * @param {IntendedMail[]} intended
 * @param {LedgerRow[]} ledger
 * @param {ReceivedMail[]} inbox
 * @param {Map<string, { email: string }>} people by user id
 * @param {import('./findings.mjs').Findings} findings
 * @returns {{ recorded: number, received: number, receivedAgain: number }}
 */
export function checkMails(intended, ledger, inbox, people, findings) {
  const key = ({ eventId, rule }) => `${rule} of event ${eventId}`
  const recorded = groupBy(ledger, key)
  const arrived = groupBy(inbox, ({ messageId }) => messageId)
  const wanted = new Set()
  for (const mail of intended) {
    wanted.add(key(mail))
    const rows = recorded.get(key(mail)) ?? []
    if (rows.length === 0) findings.lost('mails', `${key(mail)} was never recorded`)
    if (rows.length > 1) findings.doubled('mails', `${key(mail)} was recorded ${rows.length} times`, rows.length - 1)
    const email = people.get(mail.userId)?.email
    for (const { recipient, messageId, state } of rows) {
      if (recipient !== mail.userId) findings.wrong('mails', `${key(mail)} was recorded for somebody else`)
      if (mail.tooOld) {
        if (state !== 'skipped') findings.wrong('deliveries', `${key(mail)} is a fact of the past, and ${state}`)
        if (arrived.has(messageId)) findings.wrong('inbox', `${key(mail)} is a fact of the past, and was sent`)
        continue
      }
      if (state !== 'accepted') findings.lost('deliveries', `${key(mail)} is recorded and ${state}, not accepted`)
      const copies = arrived.get(messageId) ?? []
      if (copies.length === 0) findings.lost('inbox', `${key(mail)} never arrived as ${messageId}`)
      if (copies.some(({ to }) => !to.includes(email))) findings.wrong('inbox', `${key(mail)} went to somebody else`)
    }
  }
  for (const row of ledger)
    if (!wanted.has(key(row))) findings.wrong('mails', `${key(row)} was recorded, and nothing in the log asks for it`)
  const identities = new Set(ledger.map(({ messageId }) => messageId))
  if (identities.size < ledger.length)
    findings.doubled('mails', 'several recorded mails share a Message-ID', ledger.length - identities.size)
  for (const messageId of arrived.keys())
    if (!identities.has(messageId)) findings.doubled('inbox', `${messageId} arrived, and was never recorded`)
  return { recorded: ledger.length, received: arrived.size, receivedAgain: inbox.length - arrived.size }
}

/** Map.groupBy, which Node 20 does not have. */
function groupBy(items, keyOf) {
  const groups = new Map()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}
