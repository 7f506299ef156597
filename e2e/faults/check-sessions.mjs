import { exchange } from '../http.mjs'

/** An access token is good for 15 minutes; one that is older is refused for that reason. */
const tokenMs = 15 * 60_000

/**
 * Who has logged out stays so, whatever Redis forgot: both APIs refuse the token.
 *
 * @param {Record<string, string>} urls of the services
 * @param {Pick<ReturnType<import('./load.mjs').createLoad>, 'loggedOut'>} load
 * @param {import('./findings.mjs').Findings} findings
 * @param {{ mayWait?: boolean }} [options] `mayWait`: a token may also be told to come again, if only it is not let in
 */
export async function checkLoggedOut(urls, { loggedOut }, findings, { mayWait = false } = {}) {
  const young = loggedOut.filter(({ at }) => Date.now() - at < tokenMs / 2)
  for (const [index, { token }] of young.entries()) {
    for (const url of [`${urls.command}/api/v1/auth/validate`, `${urls.query}/api/v1/payments`]) {
      const { status, body } = await exchange(url, { token })
      if (body?.code !== 'session-ended' && !(mayWait && status === 503))
        findings.wrong('sessions', `the token of logout ${index} was answered ${status} by ${new URL(url).pathname}`)
    }
  }
}
