import { describe, expect, it } from '@jest/globals'
import { anchor, anchorDecider, type Head } from '../../../src/audit/domain/anchors'
import { scenario } from '../../support/scenario'

const given = scenario(anchorDecider)
const head = (sequence: number, hash = 'a', partition = 0): Head => ({
  topic: 'annals.users',
  partition,
  sequence,
  hash: hash.repeat(64),
  position: String(sequence * 10),
})
const anchored = (readTo: string, ...heads: Head[]) => ({
  type: 'audit.anchored' as const,
  data: { readTo, heads },
  at: '2026-11-01T12:00:00.000Z',
})
const { at: _, ...expected } = anchored('20', head(2, 'b'))

describe('anchors of the audit trail', () => {
  it('begin with the first heads', () =>
    given()
      .when(anchor({ readTo: 20n, heads: [head(2, 'b')] }))
      .yields(expected))
  it('are none without entries', () =>
    given()
      .when(anchor({ readTo: 20n, heads: [] }))
      .yields())
  it('follow chains that have grown', () =>
    given(anchored('10', head(1)))
      .when(anchor({ readTo: 20n, heads: [head(2, 'b')] }))
      .yields(expected))
  it('are none where nothing is new', () =>
    given(anchored('10', head(1)), anchored('20', head(2, 'b')))
      .when(anchor({ readTo: 20n, heads: [head(2, 'b')] }))
      .yields())
  it('refuse a chain that became shorter', () =>
    expect(() => anchor({ readTo: 20n, heads: [head(1)] })(given(anchored('10', head(2, 'b'))).state)).toThrow(
      /shorter/,
    ))
  it('refuse a chain that is gone', () =>
    expect(() => anchor({ readTo: 20n, heads: [head(9, 'a', 1)] })(given(anchored('10', head(2, 'b'))).state)).toThrow(
      /shorter/,
    ))
  it('refuse another hash of the same entry', () =>
    expect(() => anchor({ readTo: 20n, heads: [head(2, 'c')] })(given(anchored('10', head(2, 'b'))).state)).toThrow(
      /another hash/,
    ))
})
