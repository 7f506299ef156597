import type { Readable } from 'node:stream'
import { createTransport } from 'nodemailer'
import type { Channel, Outcome } from '../../vocabulary'

export interface SmtpOptions {
  /** `smtp://` or `smtps://`, with credentials where the server wants them. */
  url: string
  /** Address, or name and address, that mails come from. */
  from: string
  /** Connections at most; each carries one message at a time. */
  connections: number
}

/** Waits for a server that does not answer, below the time of a whole attempt so that they say which step it was. */
const connectMsMax = 5_000
const greetingMsMax = 5_000
/** For any word on a connection: an attempt ends before (`ATTEMPT_TIMEOUT_MS`), a goodbye has nobody who waits for it. */
const silentMsMax = 20_000
/** An idle connection is closed before most servers would: one that is already closed there costs an attempt. */
const idleMsMax = 10_000

/** What nodemailer says about a failure. Its `message` and `response` may hold the address and are never kept. */
interface SmtpFailure {
  code?: string
  command?: string
  responseCode?: number
}

/**
 * What is known after a failure. A reply is proof, whatever it says; without one, it depends on whether the server may have
 * had the whole message.
 * @param bodySent whether any of the message's content was handed to the connection.
 * @see RFC 5321 § 4.2.1: 4yz is transient, 5yz permanent; 421 closes the channel.
 */
export function outcomeOfFailure({ code = 'ESOCKET', command, responseCode }: SmtpFailure, bodySent: boolean): Outcome {
  if (responseCode === undefined)
    return bodySent ? { kind: 'unknown', code } : { kind: 'transient', code, about: 'channel' }
  const reply = String(responseCode)
  // The recipient or the content was judged; what comes before them (greeting, AUTH, MAIL FROM) concerns every message.
  const aboutMessage = command === 'RCPT TO' || command === 'DATA'
  if (!aboutMessage || responseCode === 421) return { kind: 'transient', code: reply, about: 'channel' }
  if (responseCode >= 500) return { kind: 'rejected', code: reply }
  return { kind: 'transient', code: reply, about: 'message' }
}

/** Mail by SMTP. One call is one attempt: the library repeats nothing by itself. */
export function createSmtpChannel({ url, from, connections }: SmtpOptions): Channel {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: connections,
    maxMessages: Number.POSITIVE_INFINITY,
    maxRequeues: 0,
    idleTimeout: idleMsMax,
    connectionTimeout: connectMsMax,
    greetingTimeout: greetingMsMax,
    socketTimeout: silentMsMax,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const bodies = new WeakMap<AbortSignal, Readable>()
  // The library knows no public way to ask how far an attempt came; the body's stream is read only after the server said 354.
  transport.use('stream', (mail, done) => {
    const { message } = mail
    const create = message.createReadStream.bind(message)
    message.createReadStream = (...options: Parameters<typeof create>) => {
      const body = create(...options)
      if (mail.data.signal) bodies.set(mail.data.signal, body)
      return body
    }
    done()
  })

  return {
    name: 'email',
    async send({ identity, to, subject, text, html, traceparent }, signal) {
      try {
        const { response } = await transport.sendMail({
          messageId: identity,
          from,
          // An object is taken as one address, whatever characters it has; a string would be parsed as a list.
          to: { name: '', address: to },
          subject,
          text,
          html,
          headers: {
            // Keeps out-of-office replies away (RFC 3834 § 5).
            'Auto-Submitted': 'auto-generated',
            ...(traceparent ? { Traceparent: traceparent } : {}),
          },
          signal,
        })
        return { kind: 'accepted', code: response.slice(0, 3) }
      } catch (error) {
        return outcomeOfFailure(error as SmtpFailure, bodies.get(signal)?.readableDidRead ?? false)
      }
    },
    close: () => transport.close(),
  }
}

/** The address part of `Name <address>`, and from it the domain that Message-IDs are made under. */
export function mailDomainOf(from: string): string | undefined {
  const match = /@([A-Za-z0-9.-]+)>?\s*$/.exec(from)
  return match?.[1]?.toLowerCase()
}
