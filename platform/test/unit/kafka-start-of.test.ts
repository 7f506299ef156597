import { describe, expect, it } from '@jest/globals'
import { startOf } from '../../src/kafka/start-of'

const topic = { topicId: 'this', low: 10n, high: 20n }
const last = (offset: bigint) => ({ offset, mark: 'event' })

describe('where reading of a partition begins', () => {
  it('is its first record when nothing was read yet', () =>
    expect(startOf(undefined, topic)).toEqual({ kind: 'goes-on', at: 10n }))

  it.each([10n, 15n, 20n])('is offset %s, where the topic is not known that it belongs to', (nextOffset) =>
    expect(startOf({ nextOffset }, topic)).toEqual({ kind: 'goes-on', at: nextOffset }),
  )

  it('is the record that was handled last, which has to be there as it was', () => {
    const place = { nextOffset: 18n, topicId: 'this', last: last(16n) }
    expect(startOf(place, topic)).toEqual({ kind: 'goes-on', at: 16n, known: last(16n) })
  })

  it('is the next offset when retention has removed what was read', () => {
    const place = { nextOffset: 10n, topicId: 'this', last: last(9n) }
    expect(startOf(place, topic)).toEqual({ kind: 'goes-on', at: 10n })
  })

  it('is the first record again in a topic that was made anew, wherever the place lies', () => {
    for (const nextOffset of [5n, 15n, 25n])
      expect(startOf({ nextOffset, topicId: 'former', last: last(nextOffset - 1n) }, topic)).toMatchObject({
        kind: 'begins-again',
        at: 10n,
        because: 'topic-made-anew',
      })
  })

  it('is the first record again where the partition ends before the place', () => {
    const again = { kind: 'begins-again', at: 10n, because: 'beyond-end' }
    expect(startOf({ nextOffset: 21n }, topic)).toMatchObject(again)
    expect(startOf({ nextOffset: 21n, topicId: 'this', last: last(20n) }, topic)).toMatchObject(again)
    expect(startOf({ nextOffset: 20n, topicId: 'this', last: last(20n) }, topic)).toMatchObject(again)
  })

  it('is nowhere when records that were never read are gone', () =>
    expect(startOf({ nextOffset: 9n, topicId: 'this', last: last(8n) }, topic)).toMatchObject({
      kind: 'stands-still',
      why: expect.stringMatching(/begins at 10: records are missing/),
    }))
})
