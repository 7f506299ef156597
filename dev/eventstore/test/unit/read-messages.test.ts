import { describe, expect, it } from '@jest/globals'
import { BinaryReader } from 'google-protobuf'
import { ReadResp } from '@eventstore/db-client/generated/streams_pb'
import { caughtUp, checkpoint } from '../../src/protocol/read-messages'

interface Fields {
  [number: number]: string | Fields
}

/** The fields of a message: numbers as decimal text, embedded messages where `embedded` names them. */
function fieldsOf(bytes: Uint8Array, embedded: Record<number, object>): Fields {
  const reader = new BinaryReader(bytes)
  const fields: Fields = {}
  while (reader.nextField()) {
    const number = reader.getFieldNumber()
    const inner = embedded[number]
    fields[number] = inner
      ? fieldsOf(reader.readBytes() as unknown as Uint8Array, inner as Record<number, object>)
      : reader.readUint64String()
  }
  return fields
}

const now = 1_795_000_000_123
const time = { 1: '1795000000', 2: '123000000' }

describe('a checkpoint', () => {
  it('tells its position to a client of any age, and the time to a newer one', () => {
    const message = checkpoint(4_711, now)
    const known = ReadResp.deserializeBinary(message).getCheckpoint()
    expect([known?.getCommitPosition(), known?.getPreparePosition()]).toEqual(['4711', '4711'])
    expect(fieldsOf(message, { 3: { 3: {} } })).toEqual({ 3: { 1: '4711', 2: '4711', 3: time } })
  })
})

describe('what is said when a subscription has caught up', () => {
  const fields = (place: Parameters<typeof caughtUp>[1]) => fieldsOf(caughtUp(now, place), { 8: { 1: {}, 3: {} } })

  it('is understood by a client that does not know its fields', () =>
    expect(ReadResp.deserializeBinary(caughtUp(now, { position: 1 })).hasCaughtUp()).toBe(true))
  it('tells the position in $all', () =>
    expect(fields({ position: 4_711 })).toEqual({ 8: { 1: time, 3: { 1: '4711', 2: '4711' } } }))
  it('tells the revision in a stream', () => expect(fields({ revision: 7 })).toEqual({ 8: { 1: time, 2: '7' } }))
  it('tells the time alone where nothing was there', () => expect(fields(undefined)).toEqual({ 8: { 1: time } }))
})
