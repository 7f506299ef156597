import { describe, expect, it } from '@jest/globals'
import { isGuessedFirst } from '../../../src/accounts/domain/common-passwords'

const email = 'anna.smith@example.com'

describe('a password that is guessed first', () => {
  it.each(['password1234', 'PassWord1234', '123456789012', 'qwerty123456', email, 'Anna.Smith@Example.com'])(
    'is %p',
    (password) => expect(isGuessedFirst(password, email)).toBe(true),
  )
  it.each(['correct horse battery', 'password-1234', 'x'.repeat(72), 'anna.smith@example.org', ''])(
    'is not %p',
    (password) => expect(isGuessedFirst(password, email)).toBe(false),
  )
})
