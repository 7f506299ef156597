import { randomBytes } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { createSignedText } from '@annals/platform/signed-text'

const key = randomBytes(32)
const tokens = createSignedText(key, 'tokens')

it('comes back as it was signed', () => expect(tokens.open(tokens.sign('a-text'))).toBe('a-text'))

it.each<[string, (signed: string) => string]>([
  ['without its signature', (signed) => signed.split('.')[0]!],
  ['with another text', (signed) => `b${signed}`],
  ['with another signature', (signed) => `${signed.split('.')[0]}.${'A'.repeat(22)}`],
  ['with a shorter signature', (signed) => signed.slice(0, -2)],
  ['with nothing in it', () => ''],
  ['signed with another key', () => createSignedText(randomBytes(32), 'tokens').sign('a-text')],
  ['signed for something else', () => createSignedText(key, 'cursors').sign('a-text')],
])('is not taken %s', (_, change) => expect(tokens.open(change(tokens.sign('a-text')))).toBeUndefined())
