import { describe, expect, it } from '@jest/globals'
import { decideAppend } from '../../src/rules/expected-revision'
import type { AppendDecision, ExpectedRevision, StreamFacts } from '../../src/rules/expected-revision'

/** A stream that holds these ids from revision 0 on. */
function stream(ids: string[], facts: Partial<StreamFacts> = {}) {
  return {
    decide: (expected: ExpectedRevision, proposed: string[]): AppendDecision =>
      decideAppend(
        expected,
        proposed,
        { lastRevision: ids.length - 1, tombstoned: false, softDeleted: false, hasMetadata: false, ...facts },
        {
          revisionOfId: (id) => (ids.includes(id) ? ids.lastIndexOf(id) : undefined),
          idAt: (revision) => ids[revision],
        },
      ),
  }
}

const append = { kind: 'append' }
const wrong = { kind: 'wrong-expected-revision' }
const deleted = { kind: 'stream-deleted' }
const repeated = (lastRevision: number) => ({ kind: 'repeated', lastRevision })

describe('an append to a stream that was never written', () => {
  const none = stream([])
  it('goes through when no stream is expected', () => expect(none.decide('no_stream', ['a'])).toEqual(append))
  it('goes through when anything is expected', () => expect(none.decide('any', ['a'])).toEqual(append))
  it('is refused when a stream is expected', () => expect(none.decide('stream_exists', ['a'])).toEqual(wrong))
  it('is refused when a revision is expected', () => expect(none.decide(0, ['a'])).toEqual(wrong))
  it('goes through for "stream exists" when it has metadata', () =>
    expect(stream([], { hasMetadata: true }).decide('stream_exists', ['a'])).toEqual(append))
})

describe('an append to a stream of three events', () => {
  const three = stream(['a', 'b', 'c'])
  it('goes through at the last revision', () => expect(three.decide(2, ['d'])).toEqual(append))
  it('is refused before it', () => expect(three.decide(1, ['d'])).toEqual(wrong))
  it('is refused after it', () => expect(three.decide(3, ['d'])).toEqual(wrong))
  it('is refused when no stream is expected', () => expect(three.decide('no_stream', ['d'])).toEqual(wrong))
  it('goes through when the stream has to exist', () => expect(three.decide('stream_exists', ['d'])).toEqual(append))
})

describe('a repeated append', () => {
  const three = stream(['a', 'b', 'c'])
  it('is recognised after the expected revision', () => expect(three.decide(0, ['b', 'c'])).toEqual(repeated(2)))
  it('is recognised after no stream', () => expect(three.decide('no_stream', ['a', 'b'])).toEqual(repeated(1)))
  it('is recognised anywhere for "any"', () => expect(three.decide('any', ['b'])).toEqual(repeated(1)))
  it('is recognised anywhere for "stream exists"', () =>
    expect(three.decide('stream_exists', ['a', 'b'])).toEqual(repeated(1)))
  it('is refused when its ids stand elsewhere', () => expect(three.decide(0, ['c'])).toEqual(wrong))
  it('is refused when it goes on beyond what is there', () => expect(three.decide(1, ['c', 'd'])).toEqual(wrong))
  it('is refused when only its beginning matches', () => expect(three.decide('any', ['a', 'x'])).toEqual(wrong))
  it('is written for "any" when its first id is new, even if a later one is known', () =>
    expect(three.decide('any', ['x', 'a'])).toEqual(append))
  it('at the last revision is written again: the id is not looked for', () =>
    expect(three.decide(2, ['c'])).toEqual(append))
})

describe('an append without events', () => {
  it('succeeds when the expectation holds', () => expect(stream(['a']).decide(0, [])).toEqual(append))
  it('is refused when it does not', () => expect(stream(['a', 'b']).decide(0, [])).toEqual(wrong))
})

describe('an append to a soft-deleted stream', () => {
  const gone = stream(['a', 'b'], { softDeleted: true, hasMetadata: true })
  it('begins it anew when no stream is expected', () => expect(gone.decide('no_stream', ['x'])).toEqual(append))
  it('begins it anew when anything is expected', () => expect(gone.decide('any', ['x'])).toEqual(append))
  it('begins it anew at its last revision', () => expect(gone.decide(1, ['x'])).toEqual(append))
  it('is refused at a former revision', () => expect(gone.decide(0, ['x'])).toEqual(wrong))
  it('is told that it is deleted when the stream has to exist', () =>
    expect(gone.decide('stream_exists', ['x'])).toEqual(deleted))
})

describe('an append to a tombstoned stream', () => {
  it.each<ExpectedRevision>(['any', 'no_stream', 'stream_exists', 0])('is told that it is deleted: %s', (expected) =>
    expect(stream(['a'], { tombstoned: true }).decide(expected, ['a'])).toEqual(deleted),
  )
})
