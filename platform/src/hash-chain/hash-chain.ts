import { createHash, type Hash } from 'node:crypto'
import type { TopicPartition } from '../kafka'

/** A partition: each has a chain of its own. */
export type ChainPlace = TopicPartition

/** The last entry of a chain. */
export interface ChainHead {
  /** 1, 2, 3, … within the partition; 0: there is no entry yet. */
  sequence: bigint
  /** SHA-256, lower-case hex. */
  hash: string
  /** Of its event in the log; -1: none. */
  position: bigint
}

/** What an entry stands for, as the log holds it. */
export interface ChainedFact {
  id: string
  type: string
  stream: string
  /** Number in its stream, from 0. */
  revision: number
  /** In the whole log. */
  position: bigint
  data: unknown
  metadata: unknown
}

/** What the first entry follows. */
export const begunChain: ChainHead = { sequence: 0n, hash: '0'.repeat(64), position: -1n }

/** Another encoding gets another name: a hash of one is never a hash of the other. */
const contentForm = 'annals.audit.content.1'
const linkForm = 'annals.audit.link.1'

const lengthBytes = Buffer.alloc(4)

/** Each part with its length before it (32 bits, big-endian): no two lists of parts make the same bytes. */
function add(hash: Hash, part: string | Uint8Array): void {
  const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part
  lengthBytes.writeUInt32BE(bytes.length)
  hash.update(lengthBytes)
  hash.update(bytes)
}

/** A value of the log. Its kind comes first: bytes that are not JSON, nothing at all, or JSON as `JSON.stringify` writes what was parsed. */
function addValue(hash: Hash, value: unknown): void {
  if (value === undefined) add(hash, 'none')
  else if (value instanceof Uint8Array) {
    add(hash, 'bytes')
    add(hash, value)
  } else {
    add(hash, 'json')
    add(hash, JSON.stringify(value))
  }
}

/**
 * SHA-256 of everything that the log holds of an event: id, type, stream, revision, position, data and metadata (tenant and schema
 * version are in these). Personal data is hashed as it is sealed, so it stays the same when a person is erased.
 * @returns lower-case hex.
 */
export function contentHash({ id, type, stream, revision, position, data, metadata }: ChainedFact): string {
  const hash = createHash('sha256')
  for (const part of [contentForm, id, type, stream, String(revision), String(position)]) add(hash, part)
  addValue(hash, data)
  addValue(hash, metadata)
  return hash.digest('hex')
}

/**
 * SHA-256 of an entry: where it stands, what it holds, and the hash of the entry before it. It needs no event, so a chain can be checked by
 * who has its entries alone.
 * @param before the entry that it follows.
 * @returns lower-case hex.
 */
export function linkHash({ topic, partition }: ChainPlace, before: ChainHead, content: string): string {
  const hash = createHash('sha256')
  for (const part of [linkForm, topic, String(partition), String(before.sequence + 1n), before.hash, content])
    add(hash, part)
  return hash.digest('hex')
}

/**
 * The entry of the next event of a partition.
 * @param before the last entry; `undefined`: the chain begins.
 */
export function nextEntry(
  place: ChainPlace,
  before: ChainHead | undefined,
  fact: ChainedFact,
): { head: ChainHead; content: string; previous: string } {
  const last = before ?? begunChain
  const content = contentHash(fact)
  const hash = linkHash(place, last, content)
  return { head: { sequence: last.sequence + 1n, hash, position: fact.position }, content, previous: last.hash }
}
