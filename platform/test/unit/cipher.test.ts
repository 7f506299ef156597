import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { openText, sealText, secretSealingKey, unwrapKey, wrapKey } from '@annals/platform/subject-keys'

const key = randomBytes(32)
const context = 'main|subject|user.registered|id'

describe('a sealed text', () => {
  it('opens to what it was', () => {
    for (const text of ['', 'Anna', '{"name":"Ægir 🌊"}', 'x'.repeat(10_000)])
      expect(openText(sealText(text, key, context), key, context)).toBe(text)
  })
  it('never looks the same twice', () =>
    expect(sealText('Anna', key, context)).not.toBe(sealText('Anna', key, context)))
  it('opens only with its key and where it was written', () => {
    const sealed = sealText('Anna', key, context)
    expect(() => openText(sealed, randomBytes(32), context)).toThrow(/auth/i)
    expect(() => openText(sealed, key, 'main|somebody else|user.registered|id')).toThrow(/auth/i)
  })
  it('does not open when any byte of it was changed', () => {
    const sealed = Buffer.from(sealText('Anna', key, context), 'base64url')
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed)
      changed[i]! ^= 1
      expect(() => openText(changed.toString('base64url'), key, context)).toThrow()
    }
  })
  it('does not open when it is cut', () => {
    const sealed = sealText('Anna', key, context)
    for (const length of [0, 1, 20, sealed.length - 2])
      expect(() => openText(sealed.slice(0, length), key, context)).toThrow()
  })
})

describe('the key of a secret', () => {
  it('is made of two keys, each of which it needs', () => {
    const [secretKey, dataKey] = [randomBytes(32), randomBytes(32)]
    const sealing = secretSealingKey(secretKey, dataKey)
    expect(sealing).toHaveLength(32)
    expect(secretSealingKey(secretKey, dataKey)).toEqual(sealing)
    for (const other of [
      secretSealingKey(dataKey, secretKey),
      secretSealingKey(secretKey, randomBytes(32)),
      secretSealingKey(randomBytes(32), dataKey),
    ])
      expect(other).not.toEqual(sealing)
  })
})

describe('a wrapped key', () => {
  const master = { id: 'one', key: randomBytes(32) }
  it('unwraps for its owner under its master key, in 61 bytes', () => {
    const wrapped = wrapKey(key, master, 'main|anna')
    expect(wrapped).toHaveLength(61)
    expect(unwrapKey(wrapped, master, 'main|anna')).toEqual(key)
    expect(() => unwrapKey(wrapped, master, 'main|berta')).toThrow(/auth/i)
    expect(() => unwrapKey(wrapped, { ...master, key: randomBytes(32) }, 'main|anna')).toThrow(/auth/i)
  })
})
