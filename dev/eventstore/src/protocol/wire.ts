/**
 * Just enough of the protocol buffer wire format to write the few messages that are sent a million times.
 * google-protobuf's setters and its writer cost about ten times as much per event.
 * @see https://protobuf.dev/programming-guides/encoding/
 */

/** Two to the power of 32: splits a JavaScript number into halves that bitwise operators can take. */
const HALF = 0x1_0000_0000

/** @returns bytes that `value` (a non-negative safe integer) takes as a varint: 1 to 8. */
export function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}

/** @returns bytes of a length-delimited field whose number is below 16: tag, length, content. */
export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length
}

/** Writes wire format into one buffer that the caller sized exactly; writing past its end throws. */
export class WireWriter {
  readonly buffer: Buffer
  private at = 0

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size)
  }

  varint(value: number): void {
    let rest = value
    while (rest >= HALF) {
      this.buffer[this.at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    let low = rest >>> 0
    while (low >= 0x80) {
      this.buffer[this.at++] = (low & 0x7f) | 0x80
      low >>>= 7
    }
    this.buffer[this.at++] = low
  }

  /** A varint field (wire type 0). `field` below 16. */
  uint(field: number, value: number): void {
    this.buffer[this.at++] = field << 3
    this.varint(value)
  }

  /** A varint field whose value is no safe integer and comes encoded. `field` below 16. */
  rawVarint(field: number, encoded: Uint8Array): void {
    this.buffer[this.at++] = field << 3
    this.buffer.set(encoded, this.at)
    this.at += encoded.length
  }

  /** Starts a length-delimited field (wire type 2) of `length` bytes, which have to follow. `field` below 16. */
  open(field: number, length: number): void {
    this.buffer[this.at++] = (field << 3) | 2
    this.varint(length)
  }

  bytes(field: number, content: Uint8Array): void {
    this.open(field, content.length)
    this.buffer.set(content, this.at)
    this.at += content.length
  }

  /** `length` is the number of UTF-8 bytes of `text`, which the caller needed before to size the buffer. */
  text(field: number, text: string, length: number): void {
    this.open(field, length)
    this.at += this.buffer.write(text, this.at, length, 'utf8')
  }

  /** @throws Error when the size was computed wrongly: a corrupt message must not be stored. */
  finish(): Buffer {
    if (this.at !== this.buffer.length)
      throw new Error(`wire message of ${this.at} bytes in a buffer of ${this.buffer.length}`)
    return this.buffer
  }
}
