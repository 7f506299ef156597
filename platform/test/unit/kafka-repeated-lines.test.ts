import { expect, it } from '@jest/globals'
import { createRepetitionLimit } from '../../src/kafka/repeated-lines'

it('says the first of each subject at once, then one in a while with how many were kept back', () => {
  let now = 0
  const limit = createRepetitionLimit(10_000, () => now)
  expect(limit('Connection error: 127.0.0.1:9092')).toBe(0)
  expect(limit('Crash: timed out')).toBe(0)
  for (now = 100; now < 10_000; now += 100) expect(limit(`Connection error: 127.0.0.1:${now}`)).toBeUndefined()
  now = 10_000
  expect(limit('Connection error: 127.0.0.1:9093')).toBe(99)
  expect(limit('Connection error: 127.0.0.1:9093')).toBeUndefined()
  expect(limit('Crash: timed out')).toBe(0)
})

it('remembers a bounded number of subjects', () => {
  const limit = createRepetitionLimit(10_000, () => 0)
  const letters = (n: number) => n.toString(36).replaceAll(/\d/g, (digit) => 'ABCDEFGHIJ'[Number(digit)]!)
  for (let n = 0; n < 2_000; n++) limit(`subject ${letters(n)}`)
  expect(limit('subject again')).toBe(0)
  expect(limit('subject again')).toBeUndefined()
})
