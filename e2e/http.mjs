/** An answer is awaited this long; a command that takes longer counts as unanswered. */
const answerMsMax = 20_000

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {Headers} headers
 * @property {any} body parsed JSON; text when it is none; undefined when there is none
 */

/**
 * One HTTP exchange, no retries.
 *
 * @param {string} url
 * @param {{ method?: string, body?: unknown, headers?: Record<string, string>, token?: string, signal?: AbortSignal }} [options]
 *   `token`: an access token
 * @returns {Promise<Answer>} whatever the status
 * @throws when no answer came
 */
export async function exchange(url, { method = 'GET', body, headers = {}, token, signal } = {}) {
  const timeout = AbortSignal.timeout(answerMsMax)
  const response = await fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: parsed(text) }
}

function parsed(text) {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
