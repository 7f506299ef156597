import { describe, expect, it } from '@jest/globals'
import { commonPasswords } from '../../../src/accounts/common-passwords'
import { contextWordsOf, passwordRefusal } from '../../../src/accounts/domain/password-policy'

const who = { email: 'anna.smith@example.com', name: 'Anna Lovelace' }
const refusalOf = (password: string, hasSecondFactor = false, person = who) =>
  passwordRefusal({ ...person, password, hasSecondFactor }, commonPasswords)

describe('the length of a password', () => {
  it.each([
    ['14 characters', 'kxrwqpzmvbtjhy', 'password-too-short'],
    ['15 characters', 'kxrwqpzmvbtjhyf', undefined],
    ['15 letters of another script', 'корректнаялошад', undefined],
    ['15 ideographs', '這是一個很長的密碼沒有人知道的', undefined],
    ['15 characters of two units each', '😀😇🥶🚀🎲🧵🪐🍄🛶🗿🧲🪁🎷🦑🪴', undefined],
    ['8 characters of two units each', '😀😇🥶🚀🎲🧵🪐🍄', 'password-too-short'],
    ['128 characters', `${'kxrwqpzm vbtjhyf '.repeat(7)}fgdsaweio`, undefined],
  ])('of %s, alone', (_, password, refusal) => expect(refusalOf(password)).toBe(refusal))

  it.each([
    ['7 characters', 'kxrwqpz', 'password-too-short'],
    ['8 characters', 'kxrwqpzm', undefined],
    ['8 characters, some of them digits', 'k7x9mPq2', undefined],
    ['a common one', 'football', 'password-too-common'],
    ['a common one with digits', 'dragon99', 'password-too-common'],
    ['a date', '19870421', 'password-too-common'],
  ])('of %s, beside a second factor', (_, password, refusal) => expect(refusalOf(password, true)).toBe(refusal))
})

describe('a password that is guessed first', () => {
  it.each([
    ['two common ones', 'sunshinesunflower'],
    ['a common one repeated', 'passwordpassword'],
    ['a common one repeated with more', 'letmeinletmein123'],
    ['a common one backwards', 'drowssap-drowssap'],
    ['a common one with other signs', 'P4$$w0rd P455w0rd!'],
    ['a common one with accents', 'pässwörd-pässwörd'],
    ['a common one in wide letters', 'ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ'],
    ['a common one and a row', 'password12345678'],
    ['a common one and a date', 'sunshine19870421'],
    ['a common one and a telephone number', 'sunshine5550148'],
    ['common ones that leaks show as one', 'qwerty123456789'],
    ['one character', 'xxxxxxxxxxxxxxx'],
    ['one character, 128 times', 'x'.repeat(128)],
    ['two characters, 64 times', 'xk'.repeat(64)],
    ['a syllable', 'bnubnubnubnubnu'],
    ['a word of another script, repeated', '密码密码密码密码密码密码密码密码'],
    ['digits in order', '123456789012345'],
    ['digits backwards', '987654321987654321'],
    ['digits in no order', '835190726455173'],
    ['a row of keys', 'qwertyuiopasdfgh'],
    ['a row of keys of another layout', 'йцукенгшщзфывапр'],
    ['columns of keys', '1qaz2wsx3edc4rfv'],
    ['keys to and fro', '1q2w3e4r5t6y7u8i'],
    ['the alphabet', 'ABCDEFGHIJKLMNOP'],
    ['the alphabet of another script', 'абвгдежзийклмноп'],
    ['the name of this service', 'Annals-Annals-2026'],
    ['the address', who.email],
    ['the address, with capitals', 'Anna.Smith@Example.com'],
    ['the address without its separators', 'annasmithexamplecom'],
    ['parts of the address', 'smith.anna.12345'],
    ['the name', 'Anna Lovelace 1987'],
    ['the name as one word, backwards', 'ecalevolannaecalevolanna'],
    ['the name with other signs', '4nn4-L0v3l4c3-1!'],
  ])('is %s', (_, password) => expect(refusalOf(password)).toBe('password-too-common'))

  it.each([
    'correct horse battery',
    'correct horse battery staple',
    'another horse battery',
    'a sensible passphrase',
    'thequickbrownfox',
    'z\u00e4hlbare W\u00f6rter',
    'מילים שאין ביניהן קשר',
    'คำที่ไม่เกี่ยวข้องกัน',
    'हिन्दी में एक पासवर्ड',
    'Tn4!rL0-vQ_x9Zbd',
    'one tree, Anna, and four clouds',
  ])('is not %p', (password) => expect(refusalOf(password)).toBeUndefined())

  it('depends on whose it is', () => {
    const password = 'Grünspan Kobalt 12'
    expect(refusalOf(password)).toBeUndefined()
    expect(refusalOf(password, false, { ...who, name: 'Kobalt Grünspan' })).toBe('password-too-common')
    expect(refusalOf(password, false, { ...who, email: 'kobalt@gruenspan.example' })).toBeUndefined()
  })
})

describe('words of the context', () => {
  it('are service, address and name, whole and in parts of three characters and more', () =>
    expect(contextWordsOf({ email: 'jo.von-arx@mail.example', name: 'Jo Árpád' })).toEqual([
      ...['annals', 'jo.von-arx@mail.example', 'jo.von-arx', 'mail.example', 'Jo Árpád', 'JoÁrpád'],
      ...['von', 'arx', 'mail', 'example', 'Árpád'],
    ]))
})
