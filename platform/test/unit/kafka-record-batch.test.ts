import { describe, expect, it } from '@jest/globals'
import Decoder from 'kafkajs/src/protocol/decoder'
import decodeBatch from 'kafkajs/src/protocol/recordBatch/v0/decoder'
import crc32C from 'kafkajs/src/protocol/recordBatch/crc32C'
import { RecordBatch } from '../../src/kafka/record-batch'
import { planBatches } from '../../src/kafka/transaction-session'

const stamp = { producerId: 4_000_000_001n, producerEpoch: 7, firstSequence: 12 }

const record = (over: Partial<Parameters<RecordBatch['add']>[0]> = {}) => ({
  topic: 't',
  partition: 0,
  key: 'stream-1',
  value: '{"a":1}',
  headers: { ce_id: 'id-1', ce_type: 'payment.created' },
  timestamp: '1700000000000',
  ...over,
})

async function decoded(batch: Buffer) {
  // kafkajs' decoder begins after offset and length, as it does in a fetch.
  return decodeBatch(new Decoder(batch))
}

describe('a record batch', () => {
  it('is what kafkajs reads back', async () => {
    const batch = new RecordBatch(10_000)
    const records = [
      record(),
      record({ key: 'Zoë', value: 'x'.repeat(300), timestamp: '1600000000000', headers: {} }),
      record({ value: '', timestamp: '1900000000000', headers: { empty: '', grüße: 'ß🜁' } }),
      record({ value: null, headers: {} }),
    ]
    for (const each of records) expect(batch.add(each)).toBe(true)
    const bytes = batch.encode(stamp)
    expect(bytes.readUInt32BE(17)).toBe(crc32C(bytes.subarray(21)))
    const read = await decoded(bytes)
    expect(read).toMatchObject({
      producerId: '4000000001',
      producerEpoch: 7,
      firstSequence: 12,
      lastOffsetDelta: 3,
      inTransaction: true,
    })
    expect(
      read.records.map((r) => ({
        key: r.key.toString(),
        value: r.value?.toString() ?? null,
        timestamp: r.timestamp,
        headers: Object.fromEntries(Object.entries(r.headers).map(([name, value]) => [name, value.toString()])),
      })),
    ).toEqual(records.map(({ key, value, timestamp, headers }) => ({ key, value, timestamp, headers })))
  })

  it('refuses what would make it too large, and keeps what it has', async () => {
    const batch = new RecordBatch(400)
    expect(batch.add(record({ value: 'x'.repeat(200) }))).toBe(true)
    expect(batch.add(record({ value: 'y'.repeat(200) }))).toBe(false)
    expect(batch.count).toBe(1)
    expect((await decoded(batch.encode(stamp))).records.length).toBe(1)
  })

  it('takes one record of any size, since a fact of that size exists', () => {
    const batch = new RecordBatch(400)
    expect(batch.add(record({ value: 'x'.repeat(5_000) }))).toBe(true)
    expect(batch.length).toBeGreaterThan(5_000)
  })
})

describe('a plan of batches', () => {
  it('keeps the order in every partition and sends the overflow in later rounds', () => {
    const records = Array.from({ length: 10 }, (_, i) => record({ partition: i % 2, value: String(i).repeat(100) }))
    const rounds = planBatches(records, 500)
    for (const round of rounds) {
      const places = round.map(({ topic, partition }) => `${topic}/${partition}`)
      expect(new Set(places).size).toBe(places.length)
      for (const { batch } of round) expect(batch.length).toBeLessThanOrEqual(500)
    }
    const count = rounds.flat().reduce((sum, { batch }) => sum + batch.count, 0)
    expect(count).toBe(10)
    expect(rounds.length).toBeGreaterThan(1)
  })

  it('is empty without records', () => expect(planBatches([])).toEqual([]))
})
