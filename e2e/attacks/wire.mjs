import { connect } from 'node:net'

/** A client of ours would refuse to send what attackers send: these bytes are written as they are. */
const answerMsMax = 20_000

/**
 * @typedef {object} WireAnswer
 * @property {number} status
 * @property {Headers} headers
 * @property {string} text the body
 */

/**
 * One HTTP/1.1 exchange on a connection of its own.
 *
 * @param {string} url of the server
 * @param {{ method: string, path: string, headers?: [string, string][], body?: string | Buffer }} request all of it written as Latin-1,
 *   a body that is a text as UTF-8; the length is added
 * @returns {Promise<WireAnswer>} the first answer that came
 * @throws when none came
 */
export function sendBytes(url, { method, path, headers = [], body }) {
  const { hostname, port, host } = new URL(url)
  const content = Buffer.from(body ?? '')
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: ${host}`,
    'connection: close',
    ...(body === undefined ? [] : [`content-length: ${content.length}`]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ]
  return new Promise((resolve, reject) => {
    const chunks = []
    const socket = connect(Number(port), hostname, () => {
      socket.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), content]))
    })
    socket.setTimeout(answerMsMax, () => socket.destroy(new Error(`${method} ${path.slice(0, 200)} was not answered`)))
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', (error) => (chunks.length > 0 ? resolve(answerOf(chunks)) : reject(error)))
    socket.on('close', () => {
      if (chunks.length > 0) resolve(answerOf(chunks))
      else reject(new Error(`${method} ${path.slice(0, 200)}: the connection was closed without an answer`))
    })
  })
}

function answerOf(chunks) {
  const text = Buffer.concat(chunks).toString('latin1')
  const end = text.indexOf('\r\n\r\n')
  const [first, ...lines] = text.slice(0, end).split('\r\n')
  const headers = new Headers()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim())
  }
  const length = Number(headers.get('content-length') ?? Number.NaN)
  const body = text.slice(end + 4, Number.isNaN(length) ? undefined : end + 4 + length)
  return { status: Number(first.split(' ')[1]), headers, text: Buffer.from(body, 'latin1').toString() }
}
