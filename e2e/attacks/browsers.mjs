import { readDocument, documents, right, rightBody } from './requests.mjs'
import { sendBytes } from './wire.mjs'

/**
 * Origins that are not the one that is let in, though some checks take them for it.
 * @param {string} page `https://app.example.org`
 * @returns {string[]}
 */
export function lookAlikes(page) {
  const { protocol, host } = new URL(page)
  return [
    `${page}.evil.org`,
    `${page}:444`,
    `${page}:443`,
    `${page}/`,
    `${page}.`,
    `${page}@evil.org`,
    `${page}%00.evil.org`,
    `${page}, https://evil.org`,
    `http://${host}`,
    `${protocol}//${host.toUpperCase()}`,
    `HTTPS://${host}`,
    `${protocol}//evil-${host}`,
    `${protocol}//x.${host}`,
    `${protocol}//${host.replace('.', 'x')}`,
    `https://evil.org/${page}`,
    `https://evil.org#${page}`,
    'https://evil.org',
    'null',
    '*',
    '',
  ]
}

/** Ends the session that the others are sent with. */
const endsSession = 'logout'

/** Every operation that is not for everybody, with a request that is right; what ends the session last. @param {Record<string, string>} ids */
function ownOperations(ids) {
  const own = documents.flatMap((api) =>
    Object.entries(readDocument(api).paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { security }]) => security.length > 0)
        .map(([method, operation]) => ({ api, path, method: method.toUpperCase(), operation })),
    ),
  )
  const rank = ({ operation }) => Number(operation.operationId === endsSession)
  return own
    .toSorted((one, other) => rank(one) - rank(other))
    .map(({ api, path, method, operation }) => {
      const schema = operation.requestBody?.content['application/json']?.schema
      const needed = (operation.parameters ?? []).filter(({ in: place, required }) => place === 'header' && required)
      return {
        api,
        method,
        path: path.replaceAll(/\{(\w+)\}/g, (_, name) => ids[name]),
        headers: [
          ...needed.map(({ name }) => [name, right[name]()]),
          ...(schema ? [['content-type', 'application/json']] : []),
        ],
        ...(schema ? { body: JSON.stringify(rightBody(schema)) } : {}),
      }
    })
}

/**
 * Sends every operation with the cookies of a person who is logged in, as a browser would from somewhere.
 *
 * @param {Record<string, string>} urls of the APIs
 * @param {Record<string, string>} ids what stands in paths
 * @param {[string, string][]} from headers that a browser adds
 * @returns {Promise<{ what: string, method: string, status: number, code: string | undefined, allowed: string | null }[]>} `allowed`: which
 *   origin may read the answer
 */
export async function sendFrom(urls, ids, from) {
  const answers = []
  for (const { api, method, path, headers, body } of ownOperations(ids)) {
    const {
      status,
      headers: answered,
      text,
    } = await sendBytes(urls[api], {
      method,
      path,
      headers: [...headers, ...from],
      body,
    })
    const isProblem = answered.get('content-type')?.startsWith('application/problem+json')
    const what = `${method} ${path} from ${JSON.stringify(from.filter(([name]) => name !== 'cookie'))}`
    const code = isProblem ? JSON.parse(text).code : undefined
    answers.push({ what, method, status, code, allowed: answered.get('access-control-allow-origin') })
  }
  return answers
}
