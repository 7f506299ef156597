import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import {
  descriptionForm,
  keptLine,
  nameForm,
  readable,
  requestText,
  textFault,
  unstorable,
  writtenText,
} from '@annals/contracts'

const name = requestText(nameForm)
const description = requestText(descriptionForm)

describe('a name', () => {
  it.each([
    ['Ann Smith', 'Ann Smith'],
    ['  Ann  ', 'Ann'],
    ['Zoe\u0308', 'Zo\u00eb'],
    ['李小龍', '李小龍'],
    ['نور\u200cالدین', 'نور\u200cالدین'],
    ['👩🏽\u200d🚀', '👩🏽\u200d🚀'],
    ['Ann \u200f(עברית)', 'Ann \u200f(עברית)'],
    ['?', '?'],
    ['😀'.repeat(200), '😀'.repeat(200)],
  ])('%j is kept as %j', (given, kept) => expect(name.parse(given)).toBe(kept))

  it.each([
    ['a NUL', 'Ann\u0000e', /one line without control/],
    ['a high surrogate alone', 'Ann\ud83d', /well-formed/],
    ['a low surrogate alone', '\ude00Ann', /well-formed/],
    ['a pair the wrong way round', 'A\ude00\ud83dn', /well-formed/],
    ['a tab', 'A\tnn', /one line/],
    ['a line break', 'A\nnn', /one line/],
    ['an escape', 'A\u001bnn', /one line/],
    ['DEL', 'A\u007fnn', /one line/],
    ['a C1 control', 'A\u0085nn', /one line/],
    ['a line separator', 'A\u2028nn', /one line/],
    ['an override', 'Ann\u202egpj.exe', /direction/],
    ['an isolate', 'A\u2067nn', /direction/],
    ['nothing', '', /visible/],
    ['blanks', ' \u00a0\u3000', /visible/],
    ['zero-width spaces', '\u200b\u200b', /visible/],
    ['a word joiner', '\u2060', /visible/],
    ['a Hangul filler', '\u3164', /visible/],
    ['half-width and choseong fillers', '\uffa0\u115f', /visible/],
    ['blank Braille', '\u2800', /visible/],
    ['a combining mark alone', '\u0301', /visible/],
    ['a variation selector', '\ufe0f', /visible/],
    ['a soft hyphen', '\u00ad', /visible/],
    ['too much', 'a'.repeat(201), /at most 200/],
    ['too much outside of the BMP', '😀'.repeat(201), /at most 200/],
    ['far too much', 'a\u0301\u0323'.repeat(20_000), /at most 200/],
  ])('of %s is refused', (_, given, why) => {
    const { error } = name.safeParse(given)
    expect(error?.issues[0]?.message).toMatch(why)
  })

  it('is not looked at closely when it is far too long: putting marks in order takes quadratic time', () => {
    const startedAt = performance.now()
    name.safeParse(`a${'\u0323\u0301'.repeat(30_000)}`)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  it('says its bounds in JSON Schema, which counts code points as well', () =>
    expect(name.toJSONSchema({ io: 'input' })).toMatchObject({ type: 'string', minLength: 1, maxLength: 200 }))
})

describe('a description', () => {
  it.each([
    ['two\nlines\tand a tab', 'two\nlines\tand a tab'],
    ['two\r\nlines\rmore', 'two\nlines\nmore'],
  ])('%j is kept as %j', (given, kept) => expect(description.parse(given)).toBe(kept))

  it.each(['a\u0000b', 'a\u0007b', 'a\u0085b', 'a\u2029b', 'a\u202eb'])('%j is refused', (given) =>
    expect(description.safeParse(given).success).toBe(false),
  )
})

describe('any text', () => {
  const anyText = fc.string({
    unit: fc.oneof(
      fc.constantFrom('\0', '\ud800', '\udc00', '\u202e', '\u200b', '\n', 'e', '\u0301'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })

  it('that a request is let through with may be written, and stays as it is when it is sent again', () =>
    fc.assert(
      fc.property(anyText, fc.constantFrom(nameForm, descriptionForm), (given, form) => {
        const { data } = requestText(form).safeParse(given)
        fc.pre(data !== undefined)
        expect(writtenText(form).safeParse(data).success).toBe(true)
        expect(unstorable(data)).toBeUndefined()
        expect(requestText(form).parse(data)).toBe(data)
      }),
    ))

  it('is readable, well-formed and free of NUL, and so again', () =>
    fc.assert(
      fc.property(anyText, (given) => {
        const read = readable({ deep: [{ text: given }], other: 1 })
        const [{ text }] = read.deep as [{ text: string }]
        expect(text.isWellFormed()).toBe(true)
        expect(text).not.toContain('\0')
        expect(readable(read)).toBe(read)
      }),
    ))

  it('is mended wherever it stands in JSON, and all else stays as it was', () => {
    const given = JSON.parse('{"__proto__":{"a":"x\\u0000"},"list":[1,null,["\\ud800"]],"kept":{"b":true}}') as {
      kept: unknown
    }
    const read = readable(given)
    expect(JSON.stringify(read)).toBe('{"__proto__":{"a":"x\ufffd"},"list":[1,null,["\ufffd"]],"kept":{"b":true}}')
    expect(read.kept).toBe(given.kept)
  })

  it('is kept as a line of the form, or not at all', () =>
    fc.assert(
      fc.property(anyText, (given) => {
        const line = keptLine(given, { max: 5 })
        if (line !== null) expect(textFault(line, { max: 5 })).toBeUndefined()
      }),
    ))
})

describe('a text at the door of the log', () => {
  it('has form C already', () => {
    expect(writtenText(nameForm).safeParse('Zo\u00eb').success).toBe(true)
    expect(writtenText(nameForm).safeParse('Zoe\u0308').error?.issues[0]?.message).toMatch(/form C/)
  })

  it('is found wherever it stands when it can not be stored', () => {
    expect(unstorable({ a: ['x', { b: 'y\ud800' }] })).toBe('/a/1/b')
    expect(unstorable({ 'n\0': 1 })).toBe('/')
    expect(unstorable({ a: 'two\n\tlines', b: null, c: 1, d: [] })).toBeUndefined()
  })
})

describe('a line that is kept for convenience', () => {
  it.each([
    ['curl/8.5.0', 'curl/8.5.0'],
    ['caf\u00c3\u0089', 'caf\u00c3\ufffd'],
    ['a\u202eb', 'a\ufffdb'],
    ['', null],
    ['\u200b ', null],
    ['x'.repeat(500), 'x'.repeat(400)],
    [`${'x'.repeat(399)}😀y`, `${'x'.repeat(399)}😀`],
  ])('%j becomes %j', (given, kept) => expect(keptLine(given, { max: 400 })).toBe(kept))
})
