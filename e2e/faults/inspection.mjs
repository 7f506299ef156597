import { setTimeout as delay } from 'node:timers/promises'
import { goneCharges, nothingHappened, stillGone } from './aftermath.mjs'
import { checkPaymentGateway, readCharges } from './check-payment-gateway.mjs'
import { checkLane } from './check-lane.mjs'
import { checkLog, readLog } from './check-log.mjs'
import { checkAttempts, checkMails, intendedMails, readInbox, readDeliveries } from './check-mails.mjs'
import { checkReadModels, readReadModels } from './check-read-models.mjs'
import { checkTopics, readTopics } from './check-topics.mjs'
import { Findings } from './findings.mjs'

/** Looked at again this often while the system catches up. */
const lookEveryMs = 1_500
/** A mail whose attempt was killed twice waits this long for its third one: 60 s, a quarter of it jitter, and a bit. */
const stillMsMax = 85_000
/** What has not arrived by then never will. */
const drainMsMax = 180_000
/** Whole once is not whole for good: a late repeat would show in this time. */
const settleMs = 3_000

/**
 * Everything that was promised, looked at once.
 *
 * @param {Record<string, string>} env addresses of the servers
 * @param {ReturnType<import('./load.mjs').createLoad>} load what was acknowledged and sent
 * @param {import('./aftermath.mjs').Aftermath} [restored] what restored stores have lost by definition
 * @returns {Promise<{ findings: Findings, events: import('./check-log.mjs').LogEvent[], numbers: Record<string, number> }>}
 */
export async function inspect(env, load, restored = nothingHappened) {
  const findings = new Findings()
  const events = await readLog(env.EVENTSTORE_URL)
  const aftermath = stillGone(restored, events)
  const [records, readModels, { deliveries, attempts }, inbox] = await Promise.all([
    readTopics(env.KAFKA_BROKERS),
    readReadModels(env.QUERY_DATABASE_URL),
    readDeliveries(env.NOTIFIER_DATABASE_URL),
    readInbox(env.MAIL_INBOX_URL),
  ])
  checkLog(events, load.acknowledged, findings, load.past?.streams)
  checkTopics(events, records, findings)
  checkReadModels(events, load, readModels, findings)
  checkLane(events, readModels.lane, findings)
  const intended = intendedMails(events)
  const mails = checkMails(intended, deliveries, inbox, load.people, findings, aftermath)
  checkAttempts(deliveries, attempts, inbox, findings, aftermath)
  const charges = readCharges(env.PAYMENT_GATEWAY_CHARGES_FILE)
  checkPaymentGateway(events, charges, findings, { past: load.past?.streams, gone: goneCharges(aftermath) })
  for (const contradiction of load.contradictions) findings.wrong('answers', contradiction)
  return {
    findings,
    events,
    numbers: {
      commandsAcknowledged: load.acknowledged.length,
      eventsInLog: events.length,
      recordsOnTopics: records.length,
      mailsIntended: intended.length,
      mailsRecorded: mails.recorded,
      mailsReceived: mails.received,
      mailsReceivedAgain: mails.receivedAgain,
      attemptsRecorded: attempts.length,
      chargesMade: charges.filter(({ result }) => result?.status === 'succeeded').length,
    },
  }
}

/**
 * Lets everything that was accepted arrive, then inspects.
 *
 * @param {() => ReturnType<typeof inspect>} look
 * @param {{ say: (text: string) => void, signal: AbortSignal }} options
 * @returns {ReturnType<typeof inspect>} the last inspection: without findings, or with those that did not go away
 */
export async function drain(look, { say, signal }) {
  const begun = Date.now()
  let before = ''
  let changedAt = begun
  for (;;) {
    const inspection = await look()
    const summary = inspection.findings.summary()
    if (summary === '') {
      await delay(settleMs, undefined, { signal })
      return look()
    }
    const now = Date.now()
    if (summary !== before) changedAt = now
    before = summary
    if (now - changedAt > stillMsMax || now - begun > drainMsMax) return inspection
    say(`still on its way: ${summary}`)
    await delay(lookEveryMs, undefined, { signal })
  }
}
