import crc32C from 'kafkajs/src/protocol/recordBatch/crc32C'
import type { OutgoingRecord } from './ports'

/** What a partition leader knows a transactional producer by. */
export interface ProducerStamp {
  producerId: bigint
  producerEpoch: number
  /** Of the batch's first record; the leader refuses a gap and a repeat. */
  firstSequence: number
}

/** Bytes before the first record. */
const overheadBytes = 61
/** Offset of the attributes, where the checksum begins. */
const checkedFrom = 21
const transactionalAttribute = 0x10

/** Bytes of a number in Kafka's zigzag varint; the numbers are safe integers. */
function varintBytes(value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  let bytes = 1
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  let position = at
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[position++] = (rest % 0x80) | 0x80
  bytes[position++] = rest
  return position
}

/** Length and bytes of a header's name, made once: names are few, and a batch writes each of them for every record. */
const headerNames = new Map<string, Buffer>()
/** Foreign names would fill the map for ever; those of the published language are a dozen. */
const headerNamesMax = 1_000
function encodedName(name: string): Buffer {
  let encoded = headerNames.get(name)
  if (!encoded) {
    const length = Buffer.byteLength(name)
    encoded = Buffer.allocUnsafe(varintBytes(length) + length)
    encoded.write(name, writeVarint(encoded, 0, length))
    if (headerNames.size < headerNamesMax) headerNames.set(name, encoded)
  }
  return encoded
}

function writeText(bytes: Buffer, at: number, text: string, length: number): number {
  const position = writeVarint(bytes, at, length)
  bytes.write(text, position, length)
  return position + length
}

/**
 * Kafka's record batch of format 2, uncompressed and transactional, written into one buffer: kafkajs makes a buffer for
 * every header of every record, which costs more than everything else the relay does.
 * @see https://kafka.apache.org/documentation/#recordbatch
 */
export class RecordBatch {
  #bytes: Buffer
  #length = overheadBytes
  #count = 0
  #firstTimestamp = 0
  #maxTimestamp = 0

  constructor(private readonly bytesMax: number) {
    this.#bytes = Buffer.allocUnsafe(Math.min(bytesMax, 16 * 1024))
  }

  get count(): number {
    return this.#count
  }

  get length(): number {
    return this.#length
  }

  /** @returns false, with nothing added, when the batch would become too large; the first record always fits. */
  add({ key, value, headers, timestamp }: OutgoingRecord): boolean {
    const time = Number(timestamp)
    if (this.#count === 0) this.#firstTimestamp = time
    const timestampDelta = time - this.#firstTimestamp
    const keyBytes = Buffer.byteLength(key)
    const valueBytes = value === null ? 0 : Buffer.byteLength(value)
    /** As the format writes it: no value is -1. */
    const valueLength = value === null ? -1 : valueBytes
    const names = Object.keys(headers)
    const headerBytes = names.map((name) => Buffer.byteLength(headers[name]!))

    let size = 1 + varintBytes(timestampDelta) + varintBytes(this.#count)
    size += varintBytes(keyBytes) + keyBytes + varintBytes(valueLength) + valueBytes + varintBytes(names.length)
    for (const [i, name] of names.entries())
      size += encodedName(name).length + varintBytes(headerBytes[i]!) + headerBytes[i]!
    const total = varintBytes(size) + size
    if (this.#count > 0 && this.#length + total > this.bytesMax) return false

    this.#reserve(total)
    const bytes = this.#bytes
    let at = writeVarint(bytes, this.#length, size)
    bytes[at++] = 0
    at = writeVarint(bytes, at, timestampDelta)
    at = writeVarint(bytes, at, this.#count)
    at = writeText(bytes, at, key, keyBytes)
    at = value === null ? writeVarint(bytes, at, -1) : writeText(bytes, at, value, valueBytes)
    at = writeVarint(bytes, at, names.length)
    for (const [i, name] of names.entries()) {
      const encoded = encodedName(name)
      bytes.set(encoded, at)
      at = writeText(bytes, at + encoded.length, headers[name]!, headerBytes[i]!)
    }
    this.#length = at
    this.#count++
    this.#maxTimestamp = Math.max(this.#maxTimestamp, time)
    return true
  }

  /** Writes what precedes the records. The buffer is this batch's own: add nothing afterwards. */
  encode({ producerId, producerEpoch, firstSequence }: ProducerStamp): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length)
    bytes.writeBigInt64BE(0n, 0)
    bytes.writeInt32BE(this.#length - 12, 8)
    bytes.writeInt32BE(-1, 12)
    bytes.writeInt8(2, 16)
    bytes.writeInt16BE(transactionalAttribute, 21)
    bytes.writeInt32BE(this.#count - 1, 23)
    bytes.writeBigInt64BE(BigInt(this.#firstTimestamp), 27)
    bytes.writeBigInt64BE(BigInt(this.#maxTimestamp), 35)
    bytes.writeBigInt64BE(producerId, 43)
    bytes.writeInt16BE(producerEpoch, 51)
    bytes.writeInt32BE(firstSequence, 53)
    bytes.writeInt32BE(this.#count, 57)
    bytes.writeUInt32BE(crc32C(bytes.subarray(checkedFrom)), 17)
    return bytes
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
