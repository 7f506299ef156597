import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from '../../dev/profile.mjs'

/** Events of one transaction: some 20 MB at most, and an fsync for each is not felt. */
const eventsPerCommit = 10_000

/**
 * Writes into the files of the development event store, which must not run meanwhile: its own code, without the network. Makes
 * the same log as the client would, several times as fast; that is what a log of millions for a measurement needs.
 *
 * @param {string} directory of the event store's data
 * @returns {import('./seed.mjs').Sink & { close: () => void }}
 */
export function fileSink(directory) {
  const require = createRequire(import.meta.url)
  const { EventLog } = require(join(root, 'dev/eventstore/dist/log/event-log.js'))
  const { write } = require(join(root, 'dev/eventstore/dist/log/stream-writes.js'))
  const log = new EventLog(directory)
  let waiting = []
  let waitingEvents = 0

  const commit = () => {
    const now = Date.now()
    log.transaction(() => {
      for (const request of waiting) {
        const { kind } = write(log, request, now, new Set())
        if (kind !== 'written') throw new Error(`an append to ${request.stream} was refused: ${kind}`)
      }
    })
    waiting = []
    waitingEvents = 0
  }

  return {
    append(stream, revision, events) {
      waiting.push({
        kind: 'append',
        stream,
        expected: revision === 0 ? 'no_stream' : revision - 1,
        events: events.map(({ id, type, data, metadata }) => ({
          id,
          type,
          contentType: 'application/json',
          data: Buffer.from(JSON.stringify(data)),
          metadata: Buffer.from(JSON.stringify(metadata)),
        })),
      })
      waitingEvents += events.length
      if (waitingEvents >= eventsPerCommit) commit()
    },
    flush: commit,
    close: () => log.close(),
  }
}
