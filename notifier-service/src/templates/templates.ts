import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { Currency, currencyExponents, DecimalAmount } from '@annals/contracts'
import Handlebars from 'handlebars'
import { z } from 'zod'
import { greetingName } from './names'

/** What a template is given: the recipient's name, and the delivery's data. */
export interface TemplateInput {
  /** Only where the recipient has proved that the address is theirs; `null`: greet without one. */
  name: string | null
  data: Record<string, string>
}

export interface Rendered {
  subject: string
  text: string
  html: string
}

export interface Templates {
  /** Names with versions, such as `welcome.v2`. */
  names: readonly string[]
  /**
   * @param locale BCP 47; its language is used where there is a translation, else English.
   * @throws Error when the template is not there, or the data lacks something that it names.
   */
  render(name: string, locale: string, input: TemplateInput): Rendered
}

const parts = ['subject', 'text', 'html'] as const
const fallbackLanguage = 'en'

/**
 * An amount with exactly the digits that ISO 4217 gives its currency. Locale data says something else of many (none for HUF and
 * IDR), and would round: only the marks between the digits, the symbol and its place are the reader's.
 * @throws Error when the amount has more decimal places than its currency: it would have to be rounded.
 */
function writeMoney(amount: unknown, currency: unknown, locale: string): string {
  const code = Currency.parse(currency)
  const decimal = DecimalAmount.parse(amount)
  const places = currencyExponents[code]
  if ((decimal.split('.')[1] ?? '').length > places) throw new Error(`${decimal} has more decimal places than ${code}`)
  const format = new Intl.NumberFormat(locale, {
    style: 'currency',
    currency: code,
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  })
  return format.format(decimal as `${number}`)
}

/**
 * Amounts and days in the reader's own way; an amount stays a decimal string throughout, which Intl formats exactly. What is
 * missing or malformed throws: Handlebars is strict about what it prints, not about what it hands to these.
 */
const formats = {
  money: writeMoney,
  day: (iso: unknown, locale: string) =>
    new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' }).format(
      new Date(z.iso.datetime().parse(iso)),
    ),
  /** "15 minutes", and whole hours from two on. */
  lasting(minutes: unknown, locale: string) {
    const count = z.coerce.number<string>().int().min(1).parse(minutes)
    const [value, unit] = count < 120 ? [count, 'minute'] : [Math.floor(count / 60), 'hour']
    return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(value)
  },
}

type Template = Record<(typeof parts)[number], HandlebarsTemplateDelegate>

function createEngine(directory: string): typeof Handlebars {
  const engine = Handlebars.create()
  const localeOf = (options: Handlebars.HelperOptions) => (options.data as { root: { locale: string } }).root.locale
  engine.registerHelper('money', (amount: unknown, currency: unknown, options: Handlebars.HelperOptions) =>
    formats.money(amount, currency, localeOf(options)),
  )
  engine.registerHelper('day', (iso: unknown, options: Handlebars.HelperOptions) => formats.day(iso, localeOf(options)))
  engine.registerHelper('lasting', (minutes: unknown, options: Handlebars.HelperOptions) =>
    formats.lasting(minutes, localeOf(options)),
  )
  engine.registerHelper('eq', (a: unknown, b: unknown) => a === b)
  for (const file of readdirSync(path.join(directory, 'layouts'))) {
    const layout = readFileSync(path.join(directory, 'layouts', file), 'utf8')
    engine.registerPartial(path.basename(file, '.hbs'), layout)
  }
  return engine
}

/**
 * Reads all templates once: `<name>.v<version>/<language>/{subject,text,html}.hbs`, of a text message `text.hbs` alone, and `layouts/`.
 * A version that has been sent is not changed any more: deliveries name it.
 */
export function loadTemplates(directory: string): Templates {
  const engine = createEngine(directory)
  const languages = new Map<string, Map<string, Template>>()

  const compile = (folder: string): Template => {
    const isMail = existsSync(path.join(folder, 'subject.hbs'))
    const part = (name: (typeof parts)[number]) => {
      const source = isMail || name === 'text' ? readFileSync(path.join(folder, `${name}.hbs`), 'utf8') : ''
      // Only HTML is escaped: the others are plain text. Strict: what is named and missing is a fault, not a gap.
      return engine.compile(source, { strict: true, noEscape: name !== 'html' })
    }
    return { subject: part('subject'), text: part('text'), html: part('html') }
  }
  for (const name of readdirSync(directory).filter((entry) => /\.v\d+$/.test(entry))) {
    const translations = readdirSync(path.join(directory, name))
    if (!translations.includes(fallbackLanguage)) throw new Error(`template ${name} has no "${fallbackLanguage}"`)
    const compiled = translations.map((language) => [language, compile(path.join(directory, name, language))] as const)
    languages.set(name, new Map(compiled))
  }

  return {
    names: [...languages.keys()],
    render(name, locale, { name: person, data }) {
      const translations = languages.get(name)
      if (!translations) throw new Error(`there is no template ${name}`)
      const language = locale.split('-')[0]!
      const template = translations.get(language) ?? translations.get(fallbackLanguage)!
      // A language that we do not write gets English whole, its numbers and days included.
      const shown = translations.has(language) ? locale : fallbackLanguage
      const view = { ...data, name: greetingName(person), locale: shown, lang: shown.split('-')[0] }
      const [subject, text, html] = parts.map((part) => template[part](view))
      return { subject: subject!.replaceAll(/\s+/g, ' ').trim(), text: text!, html: html! }
    },
  }
}
