import type { Logger } from 'pino'

/**
 * When the connection breaks while appends wait to be written, @eventstore/db-client 6.2.1 rejects each of them twice: once
 * as the append's own promise, which its caller handles, and once inside an async promise executor (batchAppend awaiting
 * backpressuredWrite), where nobody can. The second would end the process; it says nothing that the first has not said.
 * It is recognised as an error of gRPC that no one converted: the client's other errors are its own classes.
 */
const isLostWrite = (reason: unknown): boolean =>
  reason instanceof Error && 'code' in reason && 'details' in reason && 'metadata' in reason

let watching = false

/** Once per process. Every other rejection that nobody handles goes on to end the process, as Node has it by default. */
export function tolerateLostWrites(log: Logger): void {
  if (watching) return
  watching = true
  process.on('unhandledRejection', (reason) => {
    if (!isLostWrite(reason)) throw reason
    log.debug({ err: reason }, 'a write was lost with its connection; its append has been told')
  })
}
