/** By what settings call them: how many in how many seconds. */
const generous = {
  'general.ip': '1000000/60',
  'authentication.ip': '100000/60',
  'authentication.account': '1000/900',
  'registration.ip': '100000/300',
  'password-reset.ip': '100000/60',
  'password-reset.account': '1000/900',
  'mfa.account': '1000/10',
  'refresh.family': '100000/900',
  'secrets.endpoint': '100000/60',
  'secrets.account': '1000/900',
  'commands.user': '1000000/60',
  'queries.user': '1000000/60',
}

/**
 * `RATE_LIMITS` for tests, measurements and fault runs: everybody comes from one address there, and insists. What counts is what counts
 * in production; only the numbers are others. `npm start` has the limits of production.
 *
 * @param {Record<string, string>} [over] those that a test is about
 */
export const generousLimits = (over = {}) =>
  Object.entries({ ...generous, ...over })
    .map(([window, numbers]) => `${window}=${numbers}`)
    .join(',')
