import { describe, expect, it } from '@jest/globals'
import { decodeConsistencyToken, encodeConsistencyToken } from '@annals/contracts'

describe('the consistency token', () => {
  const stream = 'payment-c0ffee00-2222-5333-8444-955566667777'
  const point = { stream, revision: 7, position: 9_223_372_036_854_775_807n, log: 'c0ffee00' }

  it('brings its point back', () => expect(decodeConsistencyToken(encodeConsistencyToken(point))).toEqual(point))
  it('brings back a point of a log that is not known', () => {
    const { log: _, ...unknown } = point
    expect(decodeConsistencyToken(encodeConsistencyToken(unknown))).toEqual(unknown)
  })
  it('of the former version is read', () =>
    expect(decodeConsistencyToken(btoa(`{"v":1,"s":"${stream}","p":"12"}`))).toEqual({ stream, position: 12n }))
  it('travels in a header as it is', () => expect(encodeConsistencyToken(point)).toMatch(/^[A-Za-z0-9_-]+$/))

  it.each([
    '',
    'x',
    '%%%',
    btoa('{}'),
    btoa('{"v":2,"s":"a","p":"1"}'),
    btoa('{"v":2,"s":"a","p":"1","r":-1}'),
    btoa('{"v":2,"s":"a","p":"1","r":0,"l":"no"}'),
    btoa('{"v":3,"s":"a","p":"1","r":0}'),
    btoa('{"v":1,"s":"a","p":"-1"}'),
    'A'.repeat(401),
  ])('is refused when it is %p', (text) => expect(decodeConsistencyToken(text)).toBeUndefined())
})
