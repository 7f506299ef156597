import { createHash } from 'node:crypto'
import { placeOf } from '@annals/contracts'

/** Written down once more, from decision 0080: a check that used the code it checks would find nothing. */
const bytesOf = (part) => {
  const bytes = Buffer.from(part)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
const hashOf = (...parts) =>
  createHash('sha256')
    .update(Buffer.concat(parts.map(bytesOf)))
    .digest('hex')
const valueParts = (value) => (value === undefined ? ['none'] : ['json', JSON.stringify(value)])

/** @param {import('./check-log.mjs').LogEvent} event */
const contentOf = ({ id, type, stream, revision, position, data, metadata }) =>
  hashOf(
    ...['annals.audit.content.1', id, type, stream, `${revision}`, `${position}`],
    ...valueParts(data),
    ...valueParts(metadata),
  )

/**
 * The chains of the audit trail as they should be, one for each partition.
 *
 * @returns {(event: import('./check-log.mjs').LogEvent) => Record<string, unknown>} the entry of each event, in log order
 */
export function createChains() {
  const heads = new Map()
  return (event) => {
    const { topic, partition } = placeOf(event.stream)
    const place = `${topic}/${partition}`
    const before = heads.get(place) ?? { sequence: 0n, hash: '0'.repeat(64) }
    const sequence = before.sequence + 1n
    const content = contentOf(event)
    const hash = hashOf('annals.audit.link.1', topic, `${partition}`, `${sequence}`, before.hash, content)
    heads.set(place, { sequence, hash })
    return {
      ...{ topic, partition: `${partition}`, sequence: `${sequence}`, position: `${event.position}` },
      ...{ type: event.type, content_hash: content, previous_hash: before.hash, hash },
    }
  }
}
