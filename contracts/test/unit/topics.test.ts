import { describe, expect, it } from '@jest/globals'
import { murmur2, partitionOf, placeOf, topicNames, topics } from '@annals/contracts'

describe('murmur2', () => {
  // From Apache Kafka's own UtilsTest#testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as the Java client does', (text, hash) => expect(murmur2(new TextEncoder().encode(text))).toBe(hash))
})

describe('placeOf', () => {
  it('keeps a stream on one partition', () => {
    const stream = 'payment-c0ffee00-2222-5333-8444-955566667777'
    expect(placeOf(stream)).toEqual({ topic: 'annals.payments', partition: partitionOf(stream, 6) })
  })

  it('spreads streams over all partitions', () => {
    const partitions = new Set(Array.from({ length: 500 }, (_, i) => placeOf(`user-${i}`)!.partition))
    expect(partitions.size).toBe(topics['annals.users'].partitions)
  })

  it('publishes neither reservations nor credentials', () => {
    expect(placeOf('email-abc')).toBeUndefined()
    expect(placeOf('credential-abc')).toBeUndefined()
    expect(placeOf('nodash')).toBeUndefined()
  })

  it('has frozen the partition counts of the topics', () =>
    expect(topicNames.map((name) => [name, topics[name].partitions])).toEqual([
      ['annals.users', 6],
      ['annals.sessions', 6],
      ['annals.challenges', 6],
      ['annals.payments', 6],
    ]))
})
