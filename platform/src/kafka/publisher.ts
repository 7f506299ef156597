import { backoffMs, pause } from '../backoff'
import type { CheckpointedPublisher, CommittedPosition } from './ports'
import {
  openSession,
  readCommittedOffset,
  type CommittedOffset,
  type SessionOptions,
  type TransactionSession,
} from './transaction-session'

/** A fresh cluster needs seconds to make its internal topics: "Failed to find group coordinator" until then. */
const takeOverMsMax = 15_000
const takeOverBackoff = { firstMs: 50, maxMs: 1_000 }

/** A committed offset says where to go on, as everywhere in Kafka: one after the last position; 0 when there is none. */
const toPosition = (committed: CommittedOffset | undefined): CommittedPosition | undefined =>
  committed && { position: committed.offset - 1n, metadata: committed.metadata }

/** Publishes batches and the position they reach in one transaction each; one request at a time, nothing retried unseen. */
export function createPublisher(options: SessionOptions): CheckpointedPublisher {
  const { log, transactionalId } = options
  const closing = new AbortController()
  let session: TransactionSession | undefined
  let reached = -1n

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
          const committed = toPosition(opened.committed)
          reached = committed?.position ?? -1n
          return committed
        } catch (error) {
          if (Date.now() > deadline || closing.signal.aborted) throw error
          log.info({ err: error, transactionalId, attempt }, 'the transactional id could not be taken over yet')
          await pause(backoffMs(takeOverBackoff, attempt, Math.random()), closing.signal)
        }
      }
    },

    committed: async () => toPosition(await readCommittedOffset(options)),

    async publish(records, position, describe, others = []) {
      if (!session) throw new Error('takeOver comes first, at the beginning and after every error')
      if (position < reached && position !== -1n)
        throw new RangeError(`position ${position} is behind ${reached}, which is committed`)
      try {
        const beside = others.map((other) => ({
          groupId: other.groupId,
          offset: other.position + 1n,
          metadata: other.metadata,
        }))
        await session.publish(records, position + 1n, describe, beside)
        reached = position
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
