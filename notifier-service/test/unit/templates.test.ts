import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { currencyExponents, formatMoney, PaymentFailureCode, type CurrencyCode } from '@annals/contracts'
import { rules } from '../../src/rules/rules'
import { greetingName } from '../../src/templates/names'
import { loadTemplates } from '../../src/templates/templates'

const templates = loadTemplates(path.join(__dirname, '../../templates'))
const golden = path.join(__dirname, 'golden')
const link = 'https://annals.example/verify-email#token=0f8fad5b-d9cb-469f-a165-70867728950e.AAAA'
const data = {
  link,
  minutes: '15',
  kind: 'totp',
  eraseAt: '2026-12-23T23:30:00Z',
  paymentId: '0f8fad5b-d9cb-469f-a165-70867728950e',
  amount: '1234.50',
  currency: 'EUR',
  at: '2026-11-23T23:30:00Z',
  code: 'insufficient-funds',
}

const languagesOf = (name: string) => readdirSync(path.join(__dirname, '../../templates', name))
/** As HTML writes it. */
const htmlOf = (text: string) => text.replaceAll('=', '&#x3D;')
/** A payment's template is given the code of a failure, a challenge's the code to type. */
const dataOf = (name: string) => (name.startsWith('payment-') ? data : { ...data, code: '123456' })

describe('templates', () => {
  it('are there in English, German and Spanish, all that are in use', () => {
    for (const { template } of rules)
      expect([template, languagesOf(template).toSorted()]).toEqual([template, ['de', 'en', 'es']])
  })

  it('has every template that a rule names', () => {
    for (const { template } of rules) expect(templates.names).toContain(template)
  })

  // A version that was sent is never changed: a new text is a new version. UPDATE_GOLDEN=1 writes those that are missing.
  it.each(templates.names.flatMap((name) => languagesOf(name).map((locale) => [name, locale] as const)))(
    '%s in %s reads as it always did',
    (name, locale) => {
      const { subject, text, html } = templates.render(name, locale, { name: 'Ada Lovelace', data: dataOf(name) })
      const rendered = subject === '' ? text : `Subject: ${subject}\n\n${text}\n----\n${html}`
      const file = path.join(golden, `${name}.${locale}.txt`)
      if (process.env['UPDATE_GOLDEN'] && !existsSync(file)) {
        mkdirSync(golden, { recursive: true })
        writeFileSync(file, rendered)
      }
      expect(rendered).toBe(readFileSync(file, 'utf8'))
    },
  )

  it('writes amounts and days as the reader does', () => {
    expect(templates.render('payment-confirmation.v1', 'en', { name: null, data }).subject).toContain('€1,234.50')
    const german = templates.render('payment-confirmation.v1', 'de', { name: null, data })
    expect(german.subject).toMatch(/1\.234,50\s€/)
    expect(german.text).toContain('23. November 2026')
  })

  it('writes an amount exactly, beyond what a float can hold', () => {
    const large = { ...data, amount: '9007199254740.993', currency: 'KWD' }
    expect(templates.render('payment-confirmation.v1', 'en', { name: null, data: large }).subject).toContain(
      '9,007,199,254,740.993',
    )
  })

  // What the reader sees, with the marks of their language taken away: digits, and where the last ones are parted from the rest.
  const digitsOf = (shown: string, places: number) => {
    const digits = shown.replaceAll(/\D/g, '')
    return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
  }
  const paymentTemplates = templates.names.filter((name) => name.startsWith('payment-'))
  const languages = languagesOf('payment-confirmation.v2')
  // Readers of one language in several countries have other locale data.
  const locales = [...languages, 'en-IN', 'en-ZA', 'de-AT', 'de-CH', 'es-MX', 'es-AR']
  const currencies = Object.keys(currencyExponents) as CurrencyCode[]

  it.each(locales)('writes every currency with the digits of ISO 4217, in %s', (locale) => {
    for (const currency of currencies) {
      for (const minor of [49, 10_050, 123_456_789]) {
        const amount = formatMoney({ minor, currency })
        const money = new RegExp(String.raw`\d[\d.,’'\s]*\d|\d`, 'u')
        for (const name of paymentTemplates) {
          const { subject, text, html } = templates.render(name, locale, {
            name: null,
            data: { ...data, amount, currency },
          })
          const shown = money.exec(subject)![0]
          expect([currency, digitsOf(shown, currencyExponents[currency])]).toEqual([currency, amount])
          // A mark before the last digits, where there are any: 100.50, never 10050.
          const places = currencyExponents[currency]
          if (places > 0) expect(shown).toMatch(new RegExp(String.raw`\D\d{${places}}$`))
          for (const part of [text, html.replaceAll('&#x27;', "'")])
            expect(part.replaceAll(/\s/g, ' ')).toContain(shown)
        }
      }
    }
  })

  it('writes 100.50 HUF and 0.49 IDR as what they are', () => {
    const subject = (amount: string, currency: string, locale: string) =>
      templates.render('payment-confirmation.v1', locale, { name: null, data: { ...data, amount, currency } }).subject
    expect(subject('100.50', 'HUF', 'en')).toMatch(/HUF\s100\.50/)
    expect(subject('100.50', 'HUF', 'de')).toMatch(/100,50\sHUF/)
    expect(subject('0.49', 'IDR', 'en')).toMatch(/IDR\s0\.49/)
    expect(subject('5000', 'JPY', 'en')).toContain('¥5,000')
  })

  it('rounds nothing: an amount of more decimal places than its currency has is refused', () => {
    const wrong = { ...data, amount: '5.5', currency: 'JPY' }
    expect(() => templates.render('payment-confirmation.v1', 'en', { name: null, data: wrong })).toThrow(
      'decimal places',
    )
  })

  it('falls back to English for a language that is not there, whole', () => {
    const french = templates.render('payment-failed.v1', 'fr-FR', { name: 'Ada', data })
    expect(french).toEqual(templates.render('payment-failed.v1', 'en', { name: 'Ada', data }))
    expect(templates.render('welcome.v1', 'de-AT', { name: 'Ada', data: {} }).subject).toBe('Willkommen bei Annals')
  })

  it('escapes in HTML, and only there', () => {
    const { text, html } = templates.render('welcome.v1', 'en', { name: `O'Neill & "Co"`, data: {} })
    expect(text).toContain(`O'Neill & "Co"`)
    expect(html).not.toContain(`O'Neill & "Co"`)
    expect(html).toContain('O&#x27;Neill &amp; &quot;Co&quot;')
  })

  it('says nothing in the words of whoever registered the address, in any template in use', () => {
    const name = 'Call +1 800 555 0100, account locked'
    for (const { template } of rules)
      for (const locale of ['en', 'de', 'es']) {
        const named = templates.render(template, locale, { name, data: dataOf(template) })
        expect(named).toEqual(templates.render(template, locale, { name: null, data: dataOf(template) }))
      }
  })

  it('greets without a name when there is none to use', () => {
    expect(templates.render('welcome.v1', 'en', { name: null, data: {} }).text).toMatch(/^Hello,/)
  })

  it('refuses to write with a gap', () => {
    const { amount: _, ...incomplete } = data
    expect(() => templates.render('payment-confirmation.v1', 'en', { name: null, data: incomplete })).toThrow(
      /expected string/,
    )
    expect(() => templates.render('welcome.v9', 'en', { name: null, data: {} })).toThrow('no template welcome.v9')
  })

  it.each(PaymentFailureCode.options)('says what to do after %s, in both languages', (code) => {
    const [english, german] = ['en', 'de'].map((l) =>
      templates.render('payment-failed.v1', l, { name: null, data: { ...data, code } }),
    )
    expect(english!.text).toMatch(/another card/)
    expect(german!.text).toMatch(/Karte/)
  })

  it('says how long something lasts: minutes, and hours from two on', () => {
    const lasting = (minutes: string, locale: string) =>
      templates.render('second-factor-sms.v1', locale, { name: null, data: { code: '123456', minutes } }).text
    expect(lasting('1', 'en')).toContain('Valid for 1 minute.')
    expect(lasting('119', 'de')).toContain('Gültigkeit: 119 Minuten.')
    expect(lasting('1440', 'es')).toContain('Válido durante 24 horas.')
    expect(() => lasting('soon', 'en')).toThrow()
  })

  it('needs nothing from outside to be shown', () => {
    for (const name of templates.names)
      expect(
        templates.render(name, 'en', { name: 'Ada', data: dataOf(name) }).html.replaceAll(htmlOf(link), ''),
      ).not.toMatch(/https?:|src=|<script|url\(/)
  })
})

describe('the name in a greeting', () => {
  it.each([
    ['Ada Lovelace', 'Ada Lovelace'],
    ['  Ada \n  Lovelace ', 'Ada Lovelace'],
    ['Søren Å. Kierkegaard', 'Søren Å. Kierkegaard'],
    ['J. R. R. Tolkien', 'J. R. R. Tolkien'],
    ['J.R.R.Tolkien', 'J. R. R. Tolkien'],
    ['Dr.Smith', 'Dr. Smith'],
    ['St.John Smyth', 'St. John Smyth'],
    ['Prof.Dr.Ada Lovelace', 'Prof. Dr. Ada Lovelace'],
    ['Ada Lovelace Jr.', 'Ada Lovelace Jr.'],
  ])('%j is used as %j', (name, used) => expect(greetingName(name)).toBe(used))

  it.each([
    ['a link', 'Win at https://evil.example'],
    ['a bare domain', 'Go to evil.example now'],
    ['an address', 'mail evil@evil.example'],
    ['markup', '<b>Ada</b>'],
    ['a message of its own', 'You have won a prize, call us to get it before it is gone, hurry up'],
    ['a domain that begins with a title', 'dr.rich'],
    ['a domain in capitals', 'EVIL.EXAMPLE'],
    ['nothing to see', '\u200b \u00a0'],
    ['a filler that counts as a letter', '\u3164'],
  ])('%s is not repeated', (_, name) => expect(greetingName(name)).toBeNull())

  it('is left out for an erased person', () => expect(greetingName(null)).toBeNull())
})
