import { describe, expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { canonicalAddress, EmailAddress, knownAddress, writtenAddress } from '@annals/contracts'

const a = (count: number) => 'a'.repeat(count)
const domainOf = (length: number) => `${`${a(60)}.`.repeat(5).slice(0, length - 4)}.org`

describe('an address', () => {
  it.each([
    [' Ada@Example.ORG ', 'ada@example.org'],
    ['bugs&co@example.org', 'bugs&co@example.org'],
    [`!#$%&'*+/=?^_\`{|}~-@example.org`, `!#$%&'*+/=?^_\`{|}~-@example.org`],
    ['o.neill@mail.example.co.uk', 'o.neill@mail.example.co.uk'],
    ['a@xn--e1afmkfd.xn--p1ai', 'a@xn--e1afmkfd.xn--p1ai'],
    ['a@пример.рф', 'a@xn--e1afmkfd.xn--p1ai'],
    ['a@例子.中国', 'a@xn--fsqu00a.xn--fiqs8s'],
    ['a@Bücher.example', 'a@xn--bcher-kva.example'],
    ['a@bu\u0308cher.example', 'a@xn--bcher-kva.example'],
    [`${a(64)}@${a(63)}.org`, `${a(64)}@${a(63)}.org`],
    ['a@1.example.org', 'a@1.example.org'],
  ])('%j is compared as %j', (given, canonical) => {
    expect(EmailAddress.parse(given)).toBe(canonical)
    expect(writtenAddress.safeParse(canonical).success).toBe(true)
  })

  it.each([
    ['an umlaut before the @', 'bügs@example.org', /ASCII/],
    // It would be a "k" in lower case: two people, one address.
    ['a Kelvin sign before the @', '\u212aate@example.org', /ASCII/],
    ['65 characters before the @', `${a(65)}@example.org`, /at most 64/],
    ['a label of 64', `a@${a(64)}.org`, /no domain/],
    ['a label that ends in a hyphen', 'a@example-.org', /no domain/],
    ['a label that begins with one', 'a@-example.org', /no domain/],
    ['an A-label that is none', 'a@xn--a.example', /no domain/],
    ['an empty label', 'a@example..org', /no domain/],
    ['a dot at the end', 'a@example.org.', /no domain/],
    ['a single label', 'a@localhost', /no domain/],
    ['an address of a host', 'a@127.0.0.1', /no domain/],
    ['one written as a number', 'a@0x7f.1', /no domain/],
    ['a literal', 'a@[127.0.0.1]', /no domain/],
    ['a port', 'a@example.org:25', /no domain/],
    ['a path', 'a@example.org/x', /no domain/],
    ['a percent sign', 'a@ex%61mple.org', /no domain/],
    ['an invisible joiner', 'a@exam\u200dple.org', /no domain/],
    ['too much in all', `${a(64)}@${domainOf(190)}`, /at most 254/],
    ['far too much', `a@${'ü'.repeat(60_000)}.org`, /e-mail/],
    ['two @', 'a@b@example.org', /e-mail/],
    ['no @', 'example.org', /e-mail/],
    ['nothing before the @', '@example.org', /e-mail/],
    ['a blank', 'a b@example.org', /e-mail/],
    ['a quoted part', '"a b"@example.org', /e-mail/],
    ['two dots', 'a..b@example.org', /e-mail/],
    ['a NUL', 'a\0@example.org', /e-mail/],
    ['a line break', 'a\nb@example.org', /e-mail/],
    ['half of a surrogate pair', 'a@exa\ud800mple.org', /no domain/],
  ])('with %s is refused', (_, given, why) =>
    expect(EmailAddress.safeParse(given).error?.issues[0]?.message).toMatch(why),
  )

  it('that was accepted once is still known, as it was compared then', () => {
    expect(knownAddress(' A@Example-.org')).toBe('a@example-.org')
    expect(knownAddress(`${a(65)}@example.org`)).toBe(`${a(65)}@example.org`)
    expect(knownAddress('bügs@example.org')).toBeUndefined()
    expect(knownAddress('\u212aate@example.org')).toBeUndefined()
    expect(knownAddress('nobody')).toBeUndefined()
  })

  it('is canonical once and for all, and one line of ASCII', () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.emailAddress(),
          fc.string({ unit: 'binary' }).map((text) => `a@${text}.org`),
        ),
        (given) => {
          const canonical = canonicalAddress(given)
          fc.pre(canonical !== undefined)
          expect(canonicalAddress(canonical!)).toBe(canonical)
          expect(canonical).toMatch(/^[\x21-\x7e]{3,254}$/)
        },
      ),
    ))
})
