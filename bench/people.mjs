import { randomBytes } from 'node:crypto'

async function post(url, body) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(`POST ${url} answered ${response.status}: ${JSON.stringify(answer)}`)
  return answer
}

/**
 * @param {string} commandUrl @param {number} count
 * @returns {Promise<{ email: string, password: string }[]>} people who have just registered
 */
export async function register(commandUrl, count) {
  const people = []
  for (let i = 0; i < count; i++) {
    const person = { email: `${randomBytes(8).toString('hex')}@example.com`, password: randomBytes(16).toString('hex') }
    await post(`${commandUrl}/api/v1/auth/register`, { ...person, name: `Person ${i + 1}` })
    people.push(person)
  }
  return people
}

/**
 * Registers people and logs them in.
 *
 * @param {string} commandUrl @param {number} count
 * @returns {Promise<string[]>} their access tokens, which outlive a measurement
 */
export async function signIn(commandUrl, count) {
  const tokens = []
  for (const person of await register(commandUrl, count)) {
    const { accessToken } = await post(`${commandUrl}/api/v1/auth/login`, person)
    tokens.push(accessToken)
  }
  return tokens
}
