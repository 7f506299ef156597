/**
 * What a restored store has lost by definition: it was not in the copy. Nobody is held to it any more.
 *
 * @typedef {object} Aftermath
 * @property {Map<string, import('./check-log.mjs').LogEvent>} gone facts by event id that an older copy of the log does not have
 * @property {Map<string, number>} forgotten mails by Message-ID that had arrived before an older copy of the deliveries was taken
 *   into use, and in how many copies
 */

/** @returns {Aftermath} */
export const createAftermath = () => ({ gone: new Map(), forgotten: new Map() })

/** @type {Aftermath} */
export const nothingHappened = createAftermath()

/**
 * A command that had no answer yet when the log was put back is asked again, and makes the same events anew: those are not gone.
 *
 * @param {Aftermath} aftermath
 * @param {import('./check-log.mjs').LogEvent[]} events the log as it is
 * @returns {Aftermath}
 */
export function stillGone({ gone, forgotten }, events) {
  const there = new Set(events.map(({ id }) => id))
  return { gone: new Map([...gone].filter(([id]) => !there.has(id))), forgotten }
}

/** @param {Aftermath} aftermath @returns {Set<string>} keys of charges that a payment gateway was asked for in those facts */
export const goneCharges = ({ gone }) =>
  new Set(
    [...gone.values()].filter(({ type }) => type === 'payment.process_started').map(({ data }) => data.gatewayKey),
  )
