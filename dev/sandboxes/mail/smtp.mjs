import { randomUUID } from 'node:crypto'
import { simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'
import { mailFaults } from './faults.mjs'

/** Ours are a few KB; a mail larger than this is a mistake of a template. */
const messageBytesMax = 5 * 2 ** 20
/** Senders pool a handful of connections each. */
const clientsMax = 200
/** An idle sender may keep its pooled connection this long. */
const socketTimeoutMs = 5 * 60_000

/**
 * @typedef {object} StoredMessage
 * @property {string} id
 * @property {string} receivedAt ISO 8601, UTC
 * @property {{ from: string, to: string[] }} envelope as SMTP said it
 * @property {string | null} messageId the Message-ID header, with its angle brackets
 * @property {string} from
 * @property {string[]} to addresses of the To header
 * @property {string} subject
 * @property {string} raw the message as it came, base64
 */

/**
 * An SMTP server that keeps every message. It offers no TLS and takes any credentials: it is for one machine only.
 *
 * @param {{ inbox: import('../journal.mjs').Journal<StoredMessage>, faultSwitch: import('../faults.mjs').FaultSwitch }} deps
 * @returns {SMTPServer} not yet listening
 */
export function buildSmtpServer({ inbox, faultSwitch }) {
  const server = new SMTPServer({
    banner: 'Annals mail sandbox',
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: (auth, _session, done) => done(null, { user: auth.username }),
    size: messageBytesMax,
    maxClients: clientsMax,
    socketTimeout: socketTimeoutMs,
    disableReverseLookup: true,
    // A stop does not wait for senders that keep a pooled connection open.
    closeTimeout: 200,
    onRcptTo({ address }, _session, done) {
      if (faultSwitch.next([address], (fault) => fault === mailFaults.rejectRecipient))
        return done(refusal(550, `5.1.1 <${address}>: no such mailbox`))
      done()
    },
    onData(stream, session, done) {
      const chunks = []
      stream.on('data', (chunk) => chunks.push(chunk))
      stream.on('error', done)
      stream.on('end', () => {
        if (stream.sizeExceeded) return done(refusal(552, `5.3.4 message exceeds ${messageBytesMax} bytes`))
        void answer(Buffer.concat(chunks), session, done)
      })
    },
  })

  async function answer(raw, session, done) {
    try {
      const id = await receive(raw, session)
      if (id) done(null, `2.0.0 kept as ${id}`)
    } catch (error) {
      done(error)
    }
  }

  /** @returns {Promise<string | undefined>} undefined when the sender is to hear nothing */
  async function receive(raw, session) {
    const envelope = {
      from: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
      to: session.envelope.rcptTo.map(({ address }) => address),
    }
    const fault = faultSwitch.next(envelope.to, (each) => each !== mailFaults.rejectRecipient)
    if (fault === mailFaults.reject) throw refusal(550, '5.7.1 message refused (a test asked for it)')
    if (fault === mailFaults.defer) throw refusal(451, '4.3.0 try again later (a test asked for it)')
    if (fault === mailFaults.hang) return undefined
    const parsed = await simpleParser(raw, { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true })
    const id = randomUUID()
    inbox.add({
      id,
      receivedAt: new Date().toISOString(),
      envelope,
      messageId: parsed.messageId ?? null,
      from: parsed.from?.text ?? envelope.from,
      to: addressesOf(parsed.to),
      subject: parsed.subject ?? '',
      raw: raw.toString('base64'),
    })
    if (fault === mailFaults.keepSilent) return undefined
    if (fault !== mailFaults.drop) return id
    for (const connection of server.connections) if (connection.id === session.id) connection.close()
    return undefined
  }

  return server
}

function refusal(responseCode, message) {
  return Object.assign(new Error(message), { responseCode })
}

/** mailparser gives one object for one To header and an array for several. */
function addressesOf(header) {
  const lists = header === undefined ? [] : [header].flat()
  return lists.flatMap(({ value }) => value.flatMap((each) => each.group ?? [each])).map(({ address }) => address ?? '')
}
