import { z } from 'zod'

/** What a free text may be. */
export interface TextForm {
  /** Unicode code points at most, in normalisation form C: what JSON Schema's `maxLength` counts. */
  max: number
  /** Tab and line break (LF) may stand in it. Without it the text is one line. */
  lines?: boolean
}

/** C0, DEL, C1, and the two separators that end a line as LF does. */
const controls = /[\p{Cc}\u2028\u2029]/u
const controlsAll = new RegExp(controls, 'gu')
const controlsBesideLines = /[^\P{Cc}\t\n]|[\u2028\u2029]/u
/** Embeddings, overrides, isolates: what follows reads in another order than it is stored. Marks (LRM, RLM, ALM) are harmless. */
const direction = /[\u202a-\u202e\u2066-\u2069]/
const directionAll = new RegExp(direction, 'g')
/** Something to see: no space, joiner, filler (U+3164 is a letter by its category) or blank Braille cell. */
const visible = /(?![\p{Default_Ignorable_Code_Point}\u2800])[\p{L}\p{N}\p{P}\p{S}]/u

/** Whether a reader sees anything at all. */
export const hasVisible = (text: string): boolean => visible.test(text)

/** Without an array of characters: a text may be long before it is refused. */
function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/** A text in another form than C may be longer, and a character outside the BMP is two units; what is longer yet is not looked at. */
const unitsMaxOf = ({ max }: TextForm) => 4 * max

/**
 * Why a text is not of a form, in words for its author; `undefined` when it is.
 * @see https://www.unicode.org/versions/Unicode16.0.0/core-spec/chapter-3/ for "well-formed" (D84) and form C.
 */
export function textFault(text: string, form: TextForm): string | undefined {
  if (text.length > unitsMaxOf(form)) return `must have at most ${form.max} characters`
  if (!text.isWellFormed()) return 'must be well-formed Unicode: it holds half of a surrogate pair'
  if (form.lines ? controlsBesideLines.test(text) : controls.test(text))
    return form.lines
      ? 'must not contain control characters other than tab and line break'
      : 'must be one line without control characters'
  if (direction.test(text))
    return 'must not contain characters that change the direction of text (U+202A–2E, U+2066–69)'
  if (!hasVisible(text)) return 'must contain at least one visible character'
  if (codePoints(text) > form.max) return `must have at most ${form.max} characters`
  return undefined
}

/** As it is kept: form C, LF between lines, nothing blank around it. What can not be mended stays, and is refused afterwards. */
function canonicalText(text: string, form: TextForm): string {
  // Putting thousands of combining marks in order takes long: only what may pass is looked at.
  if (text.length > unitsMaxOf(form) || !text.isWellFormed()) return text
  const lines = form.lines ? text.replaceAll(/\r\n?/g, '\n') : text
  return lines.normalize('NFC').trim()
}

const checked = (form: TextForm, faultOf: (text: string) => string | undefined) => {
  const check = (context: z.core.ParsePayload<string>) => {
    const message = faultOf(context.value)
    if (message) context.issues.push({ code: 'custom', message, input: context.value })
  }
  return { check, facts: { minLength: 1, maxLength: form.max } }
}

/** A text as a client sends it: brought into the form in which it is kept, and refused when it is not of that form then. */
export function requestText(form: TextForm) {
  const { check, facts } = checked(form, (text) => textFault(text, form))
  return z
    .string()
    .overwrite((text) => canonicalText(text, form))
    .check(check)
    .meta(facts)
}

/** A text as an event is written with it: whatever door it came through, it is in the form in which it is kept already. */
export function writtenText(form: TextForm) {
  const { check, facts } = checked(form, (text) => {
    const fault = textFault(text, form)
    return fault ?? (text === text.normalize('NFC') ? undefined : 'must be in Unicode normalisation form C')
  })
  return z.string().check(check).meta(facts)
}

/** A text as an event may hold it that any release wrote: only its length is certain. */
export const recordedText = ({ max }: Pick<TextForm, 'max'>) =>
  z
    .string()
    .refine((text) => codePoints(text) <= max, `must have at most ${max} characters`)
    .meta({ maxLength: max })

/**
 * One line of a text that is kept for its reader's convenience (a user agent) and not worth a refusal: what can not be kept is
 * replaced, what is too long is cut. `null`: nothing visible is left.
 */
export function keptLine(text: string, { max }: Pick<TextForm, 'max'>): string | null {
  const bounded = text.slice(0, unitsMaxOf({ max })).toWellFormed()
  const line = bounded.replaceAll(controlsAll, '\ufffd').replaceAll(directionAll, '\ufffd').normalize('NFC').trim()
  const cut = line.length <= max ? line : [...line].slice(0, max).join('').trim()
  return hasVisible(cut) ? cut : null
}

/** Every string of a JSON value, changed; the same value when none was. */
function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) {
    const items = value.map((item) => mapStrings(item, change))
    return items.every((item, i) => item === value[i]) ? value : items
  }
  if (typeof value !== 'object' || value === null) return value
  let changed: Record<string, unknown> | undefined
  for (const [name, field] of Object.entries(value)) {
    const after = mapStrings(field, change)
    if (after !== field) changed = { ...(changed ?? (value as Record<string, unknown>)), [name]: after }
  }
  return changed ?? value
}

/**
 * JSON as every reader can store it, whoever wrote it: U+FFFD in the place of half a surrogate pair (`toWellFormed`) and of NUL, which
 * PostgreSQL's `text` and `jsonb` can not hold. What was written before texts were checked stays readable.
 */
export const readable = <T>(value: T): T =>
  isReadable(value)
    ? value
    : (mapStrings(value, (text) => (isReadable(text) ? text : text.toWellFormed().replaceAll('\0', '\ufffd'))) as T)

/** Asked of every event, and hardly ever denied: so it makes no garbage. */
function isReadable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isReadable)
  for (const name in value) {
    if (Object.hasOwn(value, name) && !isReadable((value as Record<string, unknown>)[name])) return false
  }
  return true
}

/**
 * The JSON pointer of a string that may not be written anywhere: not well-formed, or with control characters other than tab and line
 * break. `undefined`: there is none. A field of its own form says more ({@link writtenText}); this holds for all others.
 */
export function unstorable(value: unknown): string | undefined {
  const pointer = pathToUnstorable(value)
  return pointer === '' ? '/' : pointer
}

/** Put together on the way back only: nearly always there is nothing to point at. */
function pathToUnstorable(value: unknown): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() && !controlsBesideLines.test(value) ? undefined : ''
  if (typeof value !== 'object' || value === null) return undefined
  for (const name of Object.keys(value)) {
    if (pathToUnstorable(name) !== undefined) return '/'
    const below = pathToUnstorable((value as Record<string, unknown>)[name])
    if (below !== undefined) return `/${name}${below}`
  }
  return undefined
}

/** How a person is called. Everything that a name can be, on one line. */
export const nameForm: TextForm = { max: 200 }
/** What somebody calls a thing of theirs: a key, a factor, a role. */
export const labelForm: TextForm = { max: 100 }
/** What a payment is for, in its owner's words. */
export const descriptionForm: TextForm = { max: 500, lines: true }
