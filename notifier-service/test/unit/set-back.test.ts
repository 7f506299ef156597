import { describe, expect, it } from '@jest/globals'
import { isInGap, type Gap } from '../../src/deliveries/gaps'
import { encodeWitness, witnessesIn, type Witness } from '../../src/set-back/witness'

const witness: Witness = { v: 1, topic: 'T1', moves: 7, position: '1200', at: '2026-11-27T08:00:00.000Z' }
const committed = (metadata: string | null) => ({ topic: 'annals.users', partition: 3, offset: 40n, metadata })

describe('witnesses among committed offsets', () => {
  it('are read as they were written', () => {
    expect(witnessesIn([committed(encodeWitness(witness))])).toEqual([
      { ...witness, place: { topic: 'annals.users', partition: 3 }, offset: '40' },
    ])
  })

  it.each([
    ['nothing', null],
    ['an empty text', ''],
    ['somebody else’s words', 'reset by hand'],
    ['another version', JSON.stringify({ ...witness, v: 2 })],
    ['a number that is none', JSON.stringify({ ...witness, moves: -1 })],
    ['a position that is none', JSON.stringify({ ...witness, position: '1; drop table delivery' })],
    ['a time that is none', JSON.stringify({ ...witness, at: 'yesterday' })],
  ])('%s tells nothing', (_, metadata) => expect(witnessesIn([committed(metadata)])).toEqual([]))
})

describe('the gap behind deliveries that were set back', () => {
  const gap: Gap = {
    topicId: 'T1',
    untilOffset: 40n,
    untilPosition: 1_200n,
    untilAt: Date.parse('2026-11-27T08:00:00Z'),
    mails: 'skip',
  }
  const event = { topicId: 'T1', offset: 39n, position: 1_199n, occurredAt: '2026-11-27T07:00:00Z' }

  it('ends at the offset, on the topic that was read', () => {
    expect(isInGap(gap, event)).toBe(true)
    expect(isInGap(gap, { ...event, offset: 40n })).toBe(false)
    // Whatever clock the fact's time comes from.
    expect(isInGap(gap, { ...event, occurredAt: '2036-01-01T00:00:00Z' })).toBe(true)
  })

  it('ends at position and time, where the topic was made anew', () => {
    const anew = { ...event, topicId: 'T2', offset: 5_000n }
    expect(isInGap(gap, anew)).toBe(true)
    expect(isInGap(gap, { ...anew, position: 1_201n })).toBe(false)
    // A position that was given again, after the log was restored.
    expect(isInGap(gap, { ...anew, occurredAt: '2026-11-27T10:00:00Z' })).toBe(false)
  })
})
