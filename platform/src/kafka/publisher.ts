import { backoffMs, pause } from '../backoff'
import type { CheckpointedPublisher } from './ports'
import { openSession, readCommittedOffset, type SessionOptions, type TransactionSession } from './transaction-session'

/** A fresh cluster needs seconds to make its internal topics: "Failed to find group coordinator" until then. */
const takeOverMsMax = 15_000
const takeOverBackoff = { firstMs: 50, maxMs: 1_000 }

/** A committed offset says where to go on, as everywhere in Kafka: one after the last position; 0 when there is none. */
const toPosition = (offset: bigint | undefined) => (offset === undefined ? undefined : offset - 1n)

/** Publishes batches and the position they reach in one transaction each; one request at a time, nothing retried unseen. */
export function createPublisher(options: SessionOptions): CheckpointedPublisher {
  const { log, transactionalId } = options
  const closing = new AbortController()
  let session: TransactionSession | undefined
  let committed: bigint | undefined

  function giveUp(): void {
    session?.close()
    session = undefined
  }

  return {
    async takeOver() {
      giveUp()
      const deadline = Date.now() + takeOverMsMax
      for (let attempt = 1; ; attempt++) {
        try {
          const opened = await openSession(options)
          session = opened.session
          committed = toPosition(opened.offset)
          return committed
        } catch (error) {
          if (Date.now() > deadline || closing.signal.aborted) throw error
          log.info({ err: error, transactionalId, attempt }, 'the transactional id could not be taken over yet')
          await pause(backoffMs(takeOverBackoff, attempt, Math.random()), closing.signal)
        }
      }
    },

    position: async () => toPosition(await readCommittedOffset(options)),

    async publish(records, position) {
      if (!session) throw new Error('takeOver comes first, at the beginning and after every error')
      if (committed !== undefined && position < committed)
        throw new RangeError(`position ${position} is behind ${committed}, which is committed`)
      try {
        await session.publish(records, position + 1n)
        committed = position
      } catch (error) {
        // Whatever it was, a transaction whose end is not known can not be gone on with.
        giveUp()
        throw error
      }
    },

    async close() {
      closing.abort()
      giveUp()
    },
  }
}
