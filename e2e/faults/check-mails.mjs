import { canonicalAddress } from '@annals/contracts'
import { Client } from 'pg'
import { nothingHappened } from './aftermath.mjs'

/** Some ten thousand rows take a second. */
const queryMsMax = 30_000
/** What the mail sandbox keeps and shows at most. */
const mailsMax = 20_000

/**
 * @typedef {object} IntendedMail
 * @property {string} eventId the fact that asks for it
 * @property {string} rule
 * @property {string} userId whom it is for
 * @property {boolean} [isText] it goes to a phone, and to no inbox
 * @property {boolean} tooOld it is recorded, and held back
 *
 * @typedef {object} DeliveryRow
 * @property {string} eventId
 * @property {string} rule
 * @property {string} recipient user id
 * @property {string} messageId
 * @property {string} state `accepted` once a mail server took it; `skipped`: held back
 * @property {number} attempts how many were made
 *
 * @typedef {object} Attempt
 * @property {string} messageId of its delivery
 * @property {number} number from 1
 * @property {string | null} outcome `accepted`, `rejected`, `transient`, `unknown`; `null`: it has not ended
 *
 * @typedef {object} ReceivedMail
 * @property {string} messageId
 * @property {string[]} to
 */

/** Facts that are older than this when they are first seen send nothing any more. */
const mailAgeMsMax = 72 * 3600 * 1000

/** Which fact asks for which mail: the product's promise to its users, written down once more. */
const rules = {
  'user.registered': 'welcome',
  'user.password_changed': 'password-changed',
  'user.phone_changed': 'phone-changed',
  'user.factor_added': 'factor-added',
  'user.factor_removed': 'factor-removed',
  'user.erasure_scheduled': 'erasure-scheduled',
  'payment.processed': 'payment-confirmation',
  'payment.failed': 'payment-failed',
}

/**
 * One snapshot of what the notifier has on record.
 *
 * @param {string} url of its database
 * @returns {Promise<{ deliveries: DeliveryRow[], attempts: Attempt[] }>}
 */
export async function readDeliveries(url) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: queryMsMax })
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const deliveries = await client.query(
      `select event_id::text as "eventId", rule, recipient, identity as "messageId", state, attempts from delivery`,
    )
    const attempts = await client.query(
      `select d.identity as "messageId", a.number, a.outcome from attempt a join delivery d on d.id = a.delivery_id`,
    )
    await client.query('commit')
    return { deliveries: deliveries.rows, attempts: attempts.rows }
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
  // The sandbox's library shows a domain in its own script, whatever was on the wire.
  const canonical = (address) => canonicalAddress(address) ?? address
  return messages.map(({ messageId, envelope }) => ({ messageId, to: envelope.to.map(canonical) }))
}

/** @returns {string | undefined} the rule by which a fact asks for a message; `undefined`: it asks for none */
function ruleOf({ type, data }) {
  if (type === 'challenge.issued') return `${data.purpose}-${data.channel}`
  if (type === 'user.disabled') return data.reason === 'administrator' ? 'account-disabled' : undefined
  return Object.hasOwn(rules, type) ? rules[type] : undefined
}

/** @param {import('./check-log.mjs').LogEvent[]} events the newest of them happened just now @returns {IntendedMail[]} */
export function intendedMails(events) {
  const newest = events.reduce((latest, { metadata }) => Math.max(latest, Date.parse(metadata.occurredAt)), 0)
  return events
    .filter((event) => ruleOf(event) !== undefined)
    .map((event) => {
      const { id, data, metadata } = event
      const tooOld = newest - Date.parse(metadata.occurredAt) > mailAgeMsMax
      // The message of a challenge is for the challenge: its address is sealed.
      return {
        eventId: id,
        rule: ruleOf(event),
        userId: data.challengeId ?? data.userId,
        isText: data.channel === 'sms',
        tooOld,
      }
    })
}

/**
 * Promise 4: each intended mail was recorded exactly once, under a Message-ID of its own, and arrived at its person at least once
 * (SMTP knows no better promise: a server that took a mail and died before its answer is asked again).
 *
 * @param {IntendedMail[]} intended
 * @param {DeliveryRow[]} deliveries
 * @param {ReceivedMail[]} inbox
 * @param {Map<string, { email: string }>} people by user id
 * @param {import('./findings.mjs').Findings} findings
 * @param {import('./aftermath.mjs').Aftermath} [aftermath] of a restored log: mails of facts that are gone are no findings
 * @returns {{ recorded: number, received: number, receivedAgain: number }}
 */
export function checkMails(intended, deliveries, inbox, people, findings, { gone, forgotten } = nothingHappened) {
  const key = ({ eventId, rule }) => `${rule} of event ${eventId}`
  const recorded = groupBy(deliveries, key)
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
      if (mail.isText) continue
      const copies = arrived.get(messageId) ?? []
      if (copies.length === 0) findings.lost('inbox', `${key(mail)} never arrived as ${messageId}`)
      if (email !== undefined && copies.some(({ to }) => !to.includes(email)))
        findings.wrong('inbox', `${key(mail)} went to somebody else`)
    }
  }
  for (const row of deliveries)
    if (!wanted.has(key(row)) && !gone.has(row.eventId))
      findings.wrong('mails', `${key(row)} was recorded, and nothing in the log asks for it`)
  const identities = new Set(deliveries.map(({ messageId }) => messageId))
  if (identities.size < deliveries.length)
    findings.doubled('mails', 'several recorded mails share a Message-ID', deliveries.length - identities.size)
  for (const messageId of arrived.keys())
    if (!identities.has(messageId) && !forgotten.has(messageId))
      findings.doubled('inbox', `${messageId} arrived, and was never recorded`)
  return { recorded: deliveries.length, received: arrived.size, receivedAgain: inbox.length - arrived.size }
}

/** Attempts that may have brought a mail to its inbox: nobody knows what became of them, or nobody has said yet. */
const mayHaveArrived = (outcome) => outcome === 'unknown' || outcome === null

/**
 * The record of attempts agrees with what arrived. An accepted mail has an attempt that was accepted. Numbers count
 * from 1 without a hole. Every copy in the inbox has an attempt that brought it, and every acceptance has brought
 * one.
 *
 * @param {DeliveryRow[]} deliveries
 * @param {Attempt[]} attempts
 * @param {ReceivedMail[]} inbox
 * @param {import('./findings.mjs').Findings} findings
 * @param {import('./aftermath.mjs').Aftermath} [aftermath] of a restored deliveries database: it need not know of copies that were there before
 */
export function checkAttempts(deliveries, attempts, inbox, findings, { forgotten } = nothingHappened) {
  const made = groupBy(attempts, ({ messageId }) => messageId)
  const arrived = groupBy(inbox, ({ messageId }) => messageId)
  for (const { messageId, state, attempts: count } of deliveries) {
    const own = (made.get(messageId) ?? []).toSorted((a, b) => a.number - b.number)
    const outcomes = own.map(({ outcome }) => outcome)
    const what = `${messageId} is ${state} after ${outcomes.join(', ') || 'no attempt'}`
    if (own.length !== count || own.some(({ number }, index) => number !== index + 1))
      findings.lost('attempts', `${what}: ${count} were made, on record are [${own.map(({ number }) => number)}]`)
    const accepted = outcomes.filter((outcome) => outcome === 'accepted').length
    const doubtful = outcomes.filter(mayHaveArrived).length
    if (state === 'accepted' && accepted === 0) findings.lost('attempts', `${what}: none was accepted`)
    if (state !== 'accepted' && accepted > 0) findings.wrong('attempts', `${what}: it was accepted`)
    if (state !== 'sending' && outcomes.includes(null)) findings.wrong('attempts', `${what}: one has no outcome`)
    const copies = (arrived.get(messageId) ?? []).length
    if (copies < accepted) findings.lost('attempts', `${what}: ${accepted} were accepted, ${copies} arrived`)
    const explained = accepted + doubtful + (forgotten.get(messageId) ?? 0)
    if (copies > explained)
      findings.doubled(
        'attempts',
        `${what}: ${copies} copies arrived, ${explained} can have been sent`,
        copies - explained,
      )
  }
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
