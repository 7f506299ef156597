import { parsePhoneNumberFromString } from 'libphonenumber-js'
import twilio from 'twilio'
import type { Channel, Outcome } from '../../vocabulary'

export interface TwilioOptions {
  accountSid: string
  authToken: string
  /** Number that messages come from, E.164. */
  from: string
  /** Where the API is; without it, Twilio's own. */
  baseUrl: string | undefined
  /** Longest wait for an answer, in ms. */
  timeoutMs: number
}

const twilioUrl = 'https://api.twilio.com'

type RequestOptions<T> = Parameters<typeof twilio.RequestClient.prototype.request<T>>[0]

/** The official client's transport, sent to another address where one is configured. */
class RebasedClient extends twilio.RequestClient {
  constructor(
    private readonly baseUrl: string,
    timeoutMs: number,
  ) {
    // A kept connection that the server has closed would make an outcome unknown for nothing.
    super({ timeout: timeoutMs, keepAlive: false })
  }

  override request<T>(options: RequestOptions<T>) {
    return super.request<T>({ ...options, uri: options.uri.replace(twilioUrl, this.baseUrl) })
  }
}

/** Failures to connect: no request was sent. All other silence may hide a message that was taken. */
const notSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/**
 * What is known after a failure. An answer of 5xx comes from somewhere on the way, and nothing says whether the message was
 * queued before it: unknown.
 * @see https://www.twilio.com/docs/usage/twilios-response
 */
export function outcomeOfFailure({ status, code }: { status?: number; code?: number | string }): Outcome {
  const name = String(code ?? status ?? 'no-answer')
  if (status === undefined)
    return notSent.has(name) ? { kind: 'transient', code: name, about: 'channel' } : { kind: 'unknown', code: name }
  if (status >= 500) return { kind: 'unknown', code: name }
  // Our credentials, our account, our rate: not this message's fault.
  if (status === 401 || status === 403 || status === 429) return { kind: 'transient', code: name, about: 'channel' }
  return { kind: 'rejected', code: name }
}

/**
 * Text messages by Twilio's Messages API. It takes no idempotency key, and what was sent can not be asked for by a key of
 * ours: an attempt without an answer stays unknown, and nobody repeats it but a person.
 */
export function createTwilioChannel({ accountSid, authToken, from, baseUrl, timeoutMs }: TwilioOptions): Channel {
  const client = twilio(accountSid, authToken, { httpClient: new RebasedClient(baseUrl ?? twilioUrl, timeoutMs) })
  return {
    name: 'sms',
    async send({ to, text }, signal) {
      const number = parsePhoneNumberFromString(to)
      if (!number?.isValid()) return { kind: 'rejected', code: 'invalid-number' }
      const late = new Promise<Outcome>((resolve) => {
        signal.addEventListener('abort', () => resolve({ kind: 'unknown', code: 'timeout' }), { once: true })
      })
      const answer = client.messages.create({ to: number.number, from, body: text }).then(
        ({ sid }): Outcome => ({ kind: 'accepted', code: sid }),
        (error: unknown) => outcomeOfFailure(error as { status?: number; code?: number | string }),
      )
      return Promise.race([answer, late])
    },
    close: () => undefined,
  }
}
