import {
  array,
  constant,
  constantFrom,
  jsonValue,
  oneof,
  option,
  record,
  sample,
  string,
  tuple,
  uint8Array,
} from 'fast-check'
import { hostileTexts, hostileValues } from '@annals/platform/testing'
import { placesOf, withValue } from './hostile.mjs'
import { readDocument, right, rightBody } from './requests.mjs'
import { sendBytes } from './wire.mjs'

/** Requests under way at once: enough to be done in seconds, few enough not to be refused for their number. */
const concurrency = 4

/** As bytes on the wire: a text beyond ASCII goes as UTF-8. */
const bytesOf = (text) => Buffer.from(text.toWellFormed()).toString('latin1')
const often = (arbitrary, weight) => ({ arbitrary, weight })

const anyText = oneof(
  constantFrom(...Object.values(hostileTexts)),
  string({ unit: 'binary' }),
  string({ maxLength: 300 }),
)
const anyValue = oneof(
  anyText,
  constantFrom(...Object.values(hostileValues)),
  jsonValue({ stringUnit: 'binary', maxDepth: 4 }),
)
const anyName = oneof(
  constantFrom(
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'isAdmin',
    'roles',
    'userId',
    'then',
  ),
  anyText,
)
/** Bodies that are no JSON, or such as parsers disagree on. */
const oddText = constantFrom(
  ...[
    '',
    ' ',
    '{',
    '}',
    '[',
    'null',
    'true',
    '0',
    '-0',
    '1e999',
    '""',
    '[]',
    '{}',
    'undefined',
    'NaN',
    '{"a":1,}',
    '{a:1}',
  ],
  ...[
    '{"email":1,"email":2}',
    '{"\\u0061":1,"a":2}',
    '\ufeff{}',
    '{"a":"\u0000"}',
    '{}{}',
    '{}\n{}',
    '{/**/}',
    '"\\ud800"',
  ],
  ...['['.repeat(30_000), '{"a":'.repeat(10_000), `[${'0,'.repeat(20_000)}0]`, '{"__proto__":{"isAdmin":true}}'],
  ...['{"constructor":{"prototype":{"isAdmin":true}}}', `"${'x'.repeat(70_000)}"`, `{"a":${'9'.repeat(5_000)}}`],
)

const headerNames = [
  ...['accept', 'accept-encoding', 'accept-language', 'authorization', 'content-encoding', 'content-type', 'cookie'],
  ...['consistency-token', 'csrf-token', 'forwarded', 'host', 'idempotency-key', 'if-match', 'if-none-match', 'origin'],
  ...[
    'range',
    'referer',
    'sec-fetch-site',
    'te',
    'token-delivery',
    'traceparent',
    'tracestate',
    'upgrade',
    'user-agent',
  ],
  ...['x-correlation-id', 'x-forwarded-for', 'x-http-method-override', 'x-original-url', '__proto__', 'x'.repeat(200)],
]
const headerValues = constantFrom(
  ...[
    '*/*',
    'text/html',
    'application/xml;q=0',
    'gzip',
    'identity',
    'application/json',
    'application/json; charset=utf-16',
  ],
  ...[
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    'null',
    '*',
    '"0"',
    'W/"0"',
    '-1',
  ],
  ...[
    'bytes=0-',
    'websocket',
    'h2c',
    'cookie',
    'body',
    'same-origin',
    'cross-site',
    'Bearer ',
    'Basic YTpi',
    'Bearer a.b.c',
  ],
  ...[
    '__Host-annals-access=a.b.c',
    '__Host-annals-access=x; __Host-annals-access=y',
    '__Host-annals-refresh=',
    '=;=;;=',
  ],
  ...[
    '00-00000000000000000000000000000000-0000000000000000-00',
    '127.0.0.1, ::1, unknown',
    '999.1.1.1',
    'DELETE',
    '/metrics',
  ],
)
const anyHeaders = array(tuple(constantFrom(...headerNames), oneof(headerValues, anyText.map(bytesOf))), {
  maxLength: 3,
})

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']
const pathEnds = ['/', '//', '/..', '/%2e%2e/', ';a=1', '%00', '%', '%ff', '#a', '?', '/.well-known', '.json']

const ofQuery = (known) =>
  array(tuple(oneof(...(known.length > 0 ? [constantFrom(...known)] : []), anyName), oneof(anyText, constant(''))), {
    maxLength: 4,
  }).map((pairs) =>
    pairs.map((pair) => pair.map((text) => encodeURIComponent(text.toWellFormed())).join('=')).join('&'),
  )

function ofBody(schema) {
  const whole = oneof(
    anyValue.map(JSON.stringify),
    oddText,
    uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  )
  if (!schema) return option(whole, { freq: 4, nil: undefined })
  const base = () => rightBody(schema)
  const changed = tuple(constantFrom(...placesOf(schema)), anyValue).map(([path, value]) =>
    withValue(base(), path, value),
  )
  const widened = tuple(anyName, anyValue).map(([name, value]) => withValue(base(), [name], value))
  const listed = constantFrom(
    (body) => [body],
    (body) => ({ body }),
    (body) => JSON.stringify(body),
  ).map((wrap) => wrap(base()))
  const json = oneof(often(changed, 4), often(widened, 2), often(listed, 1), often(constant(null).map(base), 1)).map(
    (body) =>
      // What JSON can not say is left out, as a client would.
      JSON.stringify(body),
  )
  return oneof(often(json, 5), often(whole, 2), often(constant(undefined), 1))
}

/** A request that begins as the document has it, and differs from it in some places. */
function ofOperation({ path, method, operation }, ids) {
  const parameters = operation.parameters ?? []
  const named = (place) => parameters.filter((parameter) => parameter.in === place).map(({ name }) => name)
  const inPath = record(
    Object.fromEntries(
      named('path').map((name) => [
        name,
        oneof(
          often(constant(ids[name]), 3),
          often(
            anyText.map((text) => encodeURIComponent(text.toWellFormed())),
            1,
          ),
        ),
      ]),
    ),
  )
  const needed = parameters.filter(({ in: place, required }) => place === 'header' && required).map(({ name }) => name)
  return record({
    operation: constant(operation),
    method: oneof(often(constant(method), 8), often(constantFrom(...methods), 1)),
    path: tuple(inPath, oneof(often(constant(''), 8), often(constantFrom(...pathEnds), 1))).map(
      ([values, end]) => path.replaceAll(/\{(\w+)\}/g, (_, name) => values[name]) + end,
    ),
    query: option(ofQuery(named('query')), { nil: '' }),
    credentials: oneof(often(constant('right'), 8), often(constantFrom('none', 'cut', 'unsigned'), 1)),
    needed: constant(needed).map((names) => names.map((name) => [name, right[name]()])),
    headers: anyHeaders,
    body: ofBody(operation.requestBody?.content['application/json']?.schema),
  })
}

const credentialsOf = (kind, token) => {
  const unsigned = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token.split('.')[1]}.x`
  const shown = { right: token, cut: token.slice(0, -3), unsigned }[kind]
  return shown === undefined ? [] : [['authorization', `Bearer ${shown}`]]
}

/**
 * Sends requests made at random to one API, the same for the same seed but for addresses and keys, which have to be new: known routes
 * with bodies, queries, headers and paths that are wrong in some places, or altogether.
 *
 * @param {string} url of the API
 * @param {string} document its OpenAPI document: `command`, `query`, `notifier`
 * @param {{ seed: number, requests: number, ids: Record<string, string>, newToken: () => Promise<string> }} options `ids`: what a path is
 *   filled with; `newToken`: of a session that may end at any time, as some routes end it
 * @returns {Promise<{ what: string, method: string, status: number, contentType: string, answer: string }[]>}
 */
export async function fuzz(url, document, { seed, requests, ids, newToken }) {
  const operations = Object.entries(readDocument(document).paths).flatMap(([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const waiting = sample(oneof(...operations.map((one) => ofOperation(one, ids))), { seed, numRuns: requests })
  const answers = []
  let token = await newToken()
  const worker = async () => {
    for (let made = waiting.pop(); made; made = waiting.pop()) {
      const { method, path, query, credentials, needed, headers, body } = made
      const typed = body === undefined ? [] : [['content-type', 'application/json']]
      const sent = [...credentialsOf(credentials, token), ...typed, ...needed, ...headers]
      const target = `${bytesOf(path)}${query ? `?${query}` : ''}`
      const { status, headers: answered, text } = await sendBytes(url, { method, path: target, headers: sent, body })
      const what = `${method} ${target.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)} ${String(body).slice(0, 500)}`
      answers.push({ what, method, status, contentType: answered.get('content-type') ?? '', answer: text })
      if (text.includes('"session-ended"')) token = await newToken()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return answers
}
