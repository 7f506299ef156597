import { exchange } from '../http.mjs'
import { documents, readDocument, right, rightBody } from './requests.mjs'

/** Fields that would change more than the sender may, if anything took them. */
const unknownFields = { isAdmin: true, roles: ['admin'], status: 'completed', tenant: 'other', constructor: {} }

/** Where an object stands in a body: the body itself, and each object in it. */
function* objectsOf(schema, path = []) {
  if (schema.type !== 'object') return
  yield path
  for (const [name, field] of Object.entries(schema.properties ?? {})) yield* objectsOf(field, [...path, name])
}

function widened(body, [first, ...rest], fields) {
  if (first === undefined) return { ...body, ...fields }
  return { ...body, [first]: widened(body[first] ?? {}, rest, fields) }
}

/**
 * Sends every operation of every API with a field, and with a parameter, that nobody knows. All else is right.
 *
 * @param {Record<string, string>} urls of the APIs
 * @param {string} token of an administrator, who may ask everything
 * @param {Record<string, string>} ids what stands in paths
 * @returns {Promise<{ what: string, status: number, pointers: string[] }[]>}
 */
export async function sendUnknownFields(urls, token, ids) {
  const answers = []
  for (const api of documents)
    for (const [path, methods] of Object.entries(readDocument(api).paths))
      for (const [method, operation] of Object.entries(methods)) {
        const schema = operation.requestBody?.content['application/json']?.schema
        const parameters = operation.parameters ?? []
        const needed = parameters.filter(({ in: place, required }) => place === 'header' && required)
        const send = async (what, query, body) => {
          const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) => ids[name])
          const answer = await exchange(`${urls[api]}${filled}${query}`, {
            method: method.toUpperCase(),
            token,
            headers: Object.fromEntries(needed.map(({ name }) => [name, right[name]()])),
            ...(body === undefined ? {} : { body }),
          })
          const pointers = (answer.body?.errors ?? []).map(({ pointer }) => pointer)
          answers.push({ what: `${method.toUpperCase()} ${path} ${what}`, status: answer.status, pointers })
        }
        const whole = schema ? rightBody(schema) : undefined
        const asked = parameters.filter(({ in: place, required }) => place === 'query' && required)
        const query = asked.map(({ name }) => `&${name}=${right[name]()}`).join('')
        if (parameters.some(({ in: place }) => place === 'query'))
          await send('?isAdmin', `?isAdmin=true${query}`, whole)
        for (const place of schema ? objectsOf(schema) : [])
          for (const [name, value] of Object.entries(unknownFields)) {
            const known = place.reduce((at, field) => at.properties[field], schema).properties ?? {}
            if (!Object.hasOwn(known, name))
              await send(`/${[...place, name].join('/')}`, '', widened(whole, place, { [name]: value }))
          }
      }
  return answers
}
