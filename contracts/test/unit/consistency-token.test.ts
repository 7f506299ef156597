import { describe, expect, it } from '@jest/globals'
import { decodeConsistencyToken, encodeConsistencyToken } from '@annals/contracts'

describe('the consistency token', () => {
  const point = { stream: 'payment-c0ffee00-2222-5333-8444-955566667777', position: 9_223_372_036_854_775_807n }

  it('brings its point back', () => expect(decodeConsistencyToken(encodeConsistencyToken(point))).toEqual(point))
  it('travels in a header as it is', () => expect(encodeConsistencyToken(point)).toMatch(/^[A-Za-z0-9_-]+$/))

  it.each([
    '',
    'x',
    '%%%',
    btoa('{}'),
    btoa('{"v":2,"s":"a","p":"1"}'),
    btoa('{"v":1,"s":"a","p":"-1"}'),
    'A'.repeat(401),
  ])('is refused when it is %p', (text) => expect(decodeConsistencyToken(text)).toBeUndefined())
})
