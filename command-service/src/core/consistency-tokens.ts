import { encodeConsistencyToken, shortLogId } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import type { SignedText } from '@annals/platform/signed-text'

/** Makes what a query sends back to see at least a change. */
export interface ConsistencyTokens {
  /** @param fact a stream, as a command has left it. */
  of(fact: { stream: string; revision: number; position: bigint }): Promise<string>
}

/** The log may be replaced under a running process: it is asked so often which one it is. */
const identityMsMax = 10_000

/** A log that does not tell which one it is costs a token that field, not the command its answer. */
export function createConsistencyTokens(
  eventLog: Pick<EventLog, 'identity'>,
  { sign }: Pick<SignedText, 'sign'>,
): ConsistencyTokens {
  let known: string | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | undefined

  async function ask(): Promise<void> {
    try {
      const identity = await eventLog.identity()
      known = identity === undefined ? undefined : shortLogId(identity)
      askedAt = performance.now()
    } catch {
      // Asked again with the next token.
    } finally {
      asking = undefined
    }
  }

  return {
    async of({ stream, revision, position }) {
      // Waited for until it is known once; then what is known does while it is asked for again.
      if (performance.now() - askedAt > identityMsMax) {
        const asked = (asking ??= ask())
        if (known === undefined) await asked
      }
      return sign(encodeConsistencyToken({ stream, revision, position, log: known }))
    },
  }
}
