import { randomUUID } from 'node:crypto'
import { exchange } from '../http.mjs'
import { documents, readDocument, right, rightBody } from './requests.mjs'

/**
 * @typedef {object} Tried one route, called by one caller
 * @property {string} route `GET /api/v1/payments/{paymentId}`
 * @property {string} permission as the document names it
 * @property {string} caller
 * @property {'theirs' | 'nobody\u2019s' | 'none'} ids whose ids stood in the path: another person's, or such as nobody has
 * @property {number} status
 * @property {Record<string, any>} body
 * @property {Record<string, any> | undefined} sent
 * @property {string | null} challenge the header `WWW-Authenticate`
 */

/** What ends sessions that other calls need: only those who are refused call it. */
const endsSessions = new Set(['logout', 'endUserSessions'])

/** @param {Record<string, string>} ids by the name of the parameter */
function* routes(ids) {
  for (const api of documents)
    for (const [path, methods] of Object.entries(readDocument(api).paths))
      for (const [method, operation] of Object.entries(methods)) {
        const ways = path.includes('{') ? ['theirs', 'nobody\u2019s'] : ['none']
        for (const way of ways) {
          const filled = path.replaceAll(/{(\w+)}/g, (_, name) => (way === 'theirs' ? ids[name] : randomUUID()))
          yield {
            api,
            path: filled,
            method: method.toUpperCase(),
            operation,
            ids: way,
            route: `${method.toUpperCase()} ${path}`,
          }
        }
      }
}

/**
 * Every route of every API, called by everybody.
 *
 * @param {Record<string, string>} urls of the APIs
 * @param {Record<string, { token?: string, isLetIn: boolean }>} callers
 * @param {Record<string, string>} ids of another person's things, by the name of the parameter
 * @returns {Promise<Tried[]>}
 */
export async function tryEverybody(urls, callers, ids) {
  const tried = []
  for (const { api, path, method, operation, ids: way, route } of routes(ids))
    for (const [caller, { token, isLetIn }] of Object.entries(callers)) {
      if (endsSessions.has(operation.operationId) && isLetIn) continue
      const schema = operation.requestBody?.content['application/json'].schema
      const sent = schema ? rightBody(schema) : undefined
      const needed = (operation.parameters ?? []).filter(({ in: place, required }) => place === 'header' && required)
      const answer = await exchange(`${urls[api]}${path}`, {
        method,
        ...(token === undefined ? {} : { token }),
        ...(sent === undefined ? {} : { body: sent }),
        headers: Object.fromEntries(needed.map(({ name }) => [name, right[name]()])),
      })
      const challenge = answer.headers.get('www-authenticate')
      const { status, body } = answer
      tried.push({ route, permission: operation['x-permission'], caller, ids: way, status, body, sent, challenge })
    }
  return tried
}
