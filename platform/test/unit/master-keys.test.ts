import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { masterKeysOf, UnknownMasterKey } from '@annals/platform/subject-keys'

describe('master keys', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)]

  it('wrap with the first, and unwrap with each by its id', () => {
    const keys = masterKeysOf([first, second])
    expect(keys.current.key).toEqual(first)
    expect(keys.ids.map((id) => keys.of(id).key)).toEqual([first, second])
  })

  it('have ids that stay the same and do not tell the key', () => {
    expect(masterKeysOf([second, first]).ids.toReversed()).toEqual(masterKeysOf([first, second]).ids)
    for (const id of masterKeysOf([first, second]).ids) expect(id).toMatch(/^sha256:[0-9a-f]{16}$/)
  })

  it('name the key that is missing', () => {
    const [id] = masterKeysOf([second]).ids
    expect(() => masterKeysOf([first]).of(id!)).toThrow(UnknownMasterKey)
    expect(() => masterKeysOf([first]).of(id!)).toThrow(id!)
    expect(() => masterKeysOf([first]).of('constructor')).toThrow(UnknownMasterKey)
  })
})
