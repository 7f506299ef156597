import { request } from 'node:http'
import { hostileTexts, hostileValues } from '@annals/platform/testing'
import { documents, readDocument, right, rightBody } from './requests.mjs'

/** Requests under way at once: enough to be done in seconds, few enough not to be refused for their number. */
const concurrency = 4
const answerMsMax = 20_000

/**
 * One place in a request that a client fills in.
 * @typedef {{ place: 'body' | 'path' | 'query' | 'header', path: string[] }} Slot
 *
 * @typedef {object} Sent one hostile request and its answer
 * @property {string} what `POST /api/v1/payments body/description: NUL`
 * @property {number} status
 * @property {any} answer
 * @property {any} body as it was sent
 * @property {string} contentType
 * @property {string[]} documented statuses that the document names for the operation
 * @property {string} operation
 */

/** Every place of a JSON schema where a text, a number or a choice stands. */
export function* placesOf(schema, path = []) {
  if (schema.type === 'object') {
    for (const [name, field] of Object.entries(schema.properties ?? {})) yield* placesOf(field, [...path, name])
    return
  }
  for (const branch of schema.anyOf ?? []) yield* placesOf(branch, path)
  if (!schema.anyOf) yield path
}

export function withValue(body, [first, ...rest], value) {
  const field = rest.length > 0 ? withValue(body[first] ?? {}, rest, value) : value
  // Not by assignment: `__proto__` would be one.
  return { ...body, [first]: field }
}

/** Bytes beyond ASCII go as they would over the wire; what HTTP itself can not carry in a header is left out. */
function headerOf(value) {
  const bytes = Buffer.from(value).toString('latin1')
  // oxlint-disable-next-line no-control-regex -- these are what Node refuses to send
  return /[\x00-\x08\x0a-\x1f\x7f]/.test(bytes) || bytes.length > 8_000 ? undefined : bytes
}

function exchange(url, { method, headers, body }) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, timeout: answerMsMax }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const contentType = response.headers['content-type'] ?? ''
        const answer = /[/+]json/.test(contentType) ? JSON.parse(text) : text
        resolve({ status: response.statusCode, contentType, answer })
      })
    })
    sent.on('timeout', () => sent.destroy(new Error('no answer')))
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Each operation of each API with each of its places, each with each hostile value. */
function* tasks(urls, ids) {
  for (const name of documents) {
    for (const [path, methods] of Object.entries(readDocument(name).paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const schema = operation.requestBody?.content['application/json'].schema
        const parameters = operation.parameters ?? []
        const slots = [
          ...[...(schema ? placesOf(schema) : [])].map((fields) => ({ place: 'body', path: fields })),
          ...parameters.map((parameter) => ({ place: parameter.in, path: [parameter.name] })),
        ]
        for (const slot of slots) {
          const values = slot.place === 'body' ? { ...hostileTexts, ...hostileValues } : hostileTexts
          for (const [kind, value] of Object.entries(values))
            yield {
              url: urls[name],
              path,
              method: method.toUpperCase(),
              operation,
              schema,
              parameters,
              slot,
              kind,
              value,
              ids,
            }
        }
      }
    }
  }
}

async function send({ url, path, method, operation, schema, parameters, slot, kind, value, ids }, token) {
  const headers = { ...(operation.security.length > 0 ? { authorization: `Bearer ${token}` } : {}) }
  for (const { name, in: place, required } of parameters)
    if (place === 'header' && required) headers[name] = right[name]()
  let body = schema ? rightBody(schema) : undefined
  let at = path
  let query = ''
  const [name] = slot.path
  switch (slot.place) {
    case 'body':
      body = withValue(body, slot.path, value)
      break
    case 'path':
      at = at.replace(`{${name}}`, encodeURIComponent(String(value).toWellFormed()))
      break
    case 'query':
      query = `?${encodeURIComponent(name)}=${encodeURIComponent(String(value).toWellFormed())}`
      break
    case 'header': {
      const bytes = headerOf(value)
      if (bytes === undefined) return undefined
      headers[name] = bytes
    }
  }
  // Node's own bound for a header is 16 kB, the request line included: what is longer never reaches a route.
  const long = at.length + query.length > 14_000
  at = at.replaceAll(/\{(\w+)\}/g, (_, parameter) => ids[parameter])
  const text = body === undefined ? undefined : JSON.stringify(body)
  if (text !== undefined) headers['content-type'] = 'application/json'
  const found = await exchange(`${url}${at}${query}`, { method, headers, body: text })
  const documented = [
    ...Object.keys(operation.responses),
    ...(slot.place === 'path' ? ['404', '414'] : []),
    ...(long ? ['431'] : []),
  ]
  const what = `${method} ${path} ${slot.place}/${slot.path.join('/')}: ${kind}`
  return { what, operation: `${method} ${path}`, body, documented, ...found }
}

/**
 * Sends everything hostile through every field, parameter and header that the OpenAPI documents name.
 *
 * @param {Record<string, string>} urls of the APIs, by process
 * @param {string} token of an administrator, who may ask everything
 * @param {Record<string, string>} ids what stands in a path where nothing hostile does, by parameter
 * @returns {Promise<Sent[]>}
 */
export async function sendHostile(urls, token, ids) {
  const waiting = [...tasks(urls, ids)].toReversed()
  const sent = []
  const worker = async () => {
    for (let task = waiting.pop(); task; task = waiting.pop()) {
      const one = await send(task, token)
      if (one) sent.push(one)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return sent
}
