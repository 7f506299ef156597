import { parsePhoneNumberFromString } from 'libphonenumber-js'

/**
 * Twilio's answers to a message that it does not take: code → HTTP status and text.
 * Source: https://www.twilio.com/docs/api/errors
 */
const errors = {
  20003: { status: 401, message: () => 'Authenticate' },
  20404: { status: 404, message: ({ path }) => `The requested resource ${path} was not found` },
  20429: { status: 429, message: () => 'Too Many Requests' },
  20500: { status: 500, message: () => 'An internal server error has occurred' },
  21211: { status: 400, message: ({ to }) => `Invalid 'To' Phone Number: ${hidden(to)}` },
  21212: { status: 400, message: ({ from }) => `Invalid From Number (caller ID): ${from}` },
  21408: {
    status: 400,
    message: ({ to }) =>
      `Permission to send an SMS has not been enabled for the region indicated by the 'To' number: ${hidden(to)}`,
  },
  21602: { status: 400, message: () => 'Message body is required.' },
  21603: { status: 400, message: () => "A 'From' phone number is required." },
  21604: { status: 400, message: () => "A 'To' phone number is required." },
  21606: {
    status: 400,
    message: ({ from }) =>
      `The From phone number ${from} is not a valid, SMS-capable inbound phone number or short code for your account.`,
  },
  21608: {
    status: 400,
    message: ({ to }) =>
      `The number ${hidden(to)} is unverified. Trial accounts cannot send messages to unverified numbers.`,
  },
  21609: { status: 400, message: () => "The 'StatusCallback' URL is not a valid URL." },
  21610: { status: 400, message: () => 'Attempt to send to unsubscribed recipient' },
  21611: {
    status: 400,
    message: ({ from }) => `This From number ${from} has exceeded the maximum number of queued messages`,
  },
  21612: {
    status: 400,
    message: ({ to, from }) =>
      `Message cannot be sent with the current combination of 'To' (${hidden(to)}) and/or 'From' (${from}) parameters`,
  },
  21614: { status: 400, message: ({ to }) => `'To' number is not a valid mobile number: ${hidden(to)}` },
  21617: { status: 400, message: () => 'The concatenated message body exceeds the 1600 character limit' },
}

/** Twilio shows the last digits only. */
const hidden = (number) => `${'X'.repeat(Math.max(0, number.length - 4))}${number.slice(-4)}`

/** Numbers with a meaning under test credentials. Source: https://www.twilio.com/docs/iam/test-credentials */
const magicRecipients = {
  '+15005550001': 21211,
  '+15005550002': 21612,
  '+15005550003': 21408,
  '+15005550004': 21610,
  '+15005550009': 21614,
}
const magicSenders = { '+15005550001': 21212, '+15005550007': 21606, '+15005550008': 21611 }
const validSender = '+15005550006'

/** As Twilio counts: characters of all segments together. */
const bodyCharactersMax = 1600

/**
 * @param {number} code
 * @param {Record<string, string>} [facts]
 * @returns {{ status: number, body: { code: number, message: string, more_info: string, status: number } }} in Twilio's form
 */
export function twilioError(code, facts = {}) {
  const { status, message } = errors[code]
  return {
    status,
    body: { code, message: message(facts), more_info: `https://www.twilio.com/docs/errors/${code}`, status },
  }
}

/**
 * @param {Record<string, string | undefined>} form fields of the request, with Twilio's names
 * @returns {number | undefined} the code of the first rule the message breaks
 */
export function brokenRule({
  To: to,
  From: from,
  MessagingServiceSid: service,
  Body: body,
  MediaUrl: media,
  StatusCallback: callback,
}) {
  if (!to) return 21604
  if (!from && !service) return 21603
  if (!body && !media) return 21602
  if (body && [...body].length > bodyCharactersMax) return 21617
  if (callback && !URL.canParse(callback)) return 21609
  if (from && from !== validSender) return magicSenders[from] ?? (isNumber(from) ? 21606 : 21212)
  if (to in magicRecipients) return magicRecipients[to]
  return isNumber(to) ? undefined : 21211
}

/** E.164 and in use: the plus, the country, and a number its plan knows; the magic numbers are in no plan. */
const isNumber = (text) =>
  /^\+1500555000\d$/.test(text) ||
  (/^\+[1-9]\d{6,14}$/.test(text) && parsePhoneNumberFromString(text)?.isValid() === true)
