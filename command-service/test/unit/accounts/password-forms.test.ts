import { createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { isReadWhole, parseHash, peppersOf, preHash, writeHash } from '../../../src/accounts/password-forms'

const rest = '$abcdefghijklmnopqrstuuE1yqk8l8rY7c7Qb9w0l1m2n3o4p5q6r'
const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]

describe('the form of a hash', () => {
  it('says key, cost and what bcrypt takes', () => {
    const hash = writeHash('0123456789abcdef', `$2b$12${rest}`)
    expect(hash).toBe(`$annals$v2$k=0123456789abcdef$2b$12${rest}`)
    expect(parseHash(hash)).toEqual({ cost: 12, bcrypt: `$2b$12${rest}`, keyId: '0123456789abcdef' })
  })

  it.each(['a', 'b', 'y'])('of v1 may be 2%s', (minor) =>
    expect(parseHash(`$2${minor}$10${rest}`)).toEqual({ cost: 10, bcrypt: `$2b$10${rest}`, keyId: undefined }),
  )

  it.each([
    ['nothing', ''],
    ['another algorithm', '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA'],
    ['another revision of bcrypt, which reads some passwords otherwise', `$2x$10${rest}`],
    ['a cost that would hold a thread for minutes', `$2b$20${rest}`],
    ['the same in form v2', `$annals$v2$k=0123456789abcdef$2b$16${rest}`],
    ['a cost that bcrypt does not know', `$2b$03${rest}`],
    ['a cut digest', `$2b$10${rest.slice(0, -1)}`],
    ['more behind the digest', `$2b$10${rest}\n`],
    ['a form of the future', `$annals$v3$k=0123456789abcdef$2b$12${rest}`],
    ['a key id that is none', `$annals$v2$k=0123$2b$12${rest}`],
  ])('is none for %s', (_, text) => expect(parseHash(text)).toBeUndefined())
})

describe('the keys of hashes', () => {
  it('are known by names, which are not the keys’ own hashes', () => {
    const peppers = peppersOf([two, one])
    const { current } = peppers
    expect(current.key).toEqual(two)
    expect(current.id).toMatch(/^[0-9a-f]{16}$/)
    expect(peppers.of(current.id)).toEqual(current)
    expect(peppers.of(peppersOf([one]).current.id)?.key).toEqual(one)
    expect(peppersOf([one]).of(current.id)).toBeUndefined()
  })

  it('make what bcrypt reads as a whole, another for every key and every byte', () => {
    const { current } = peppersOf([one])
    expect(preHash(current, 'pässwörd')).toBe(createHmac('sha384', one).update('pässwörd', 'utf8').digest('base64'))
    const long = 'x'.repeat(120)
    const texts = [long, `${long}y`, `${long}\0`, `${long}\0z`].map((text) => preHash(current, text))
    for (const text of texts) expect(text).toMatch(/^[A-Za-z0-9+/]{64}$/)
    expect(new Set([...texts, preHash(peppersOf([two]).current, long)]).size).toBe(5)
  })
})

it('bcrypt reads 72 bytes, up to the first NUL', () =>
  expect(['x'.repeat(72), 'x'.repeat(73), '€'.repeat(24), '€'.repeat(25), 'a\0b', 'a\ud800b'].map(isReadWhole)).toEqual(
    [...[true, false, true, false, false, false]],
  ))
