import type { ServerWritableStream } from '@grpc/grpc-js'
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb'
import { withStructuredId } from '../protocol/recorded-event'

/** A call of `Read`; its answers are messages already serialised. */
export type ReadCall = ServerWritableStream<ReadReq, Uint8Array>

/**
 * Where a read's messages go. Sending waits for a slow client, so that no more than the page in hand is ever held for it.
 */
export class Outlet {
  private blocked: (() => void) | undefined
  /** True when the client has gone or cancelled: nothing more can be sent. */
  closed = false
  private readonly closeListeners: (() => void)[] = []

  constructor(
    private readonly call: ReadCall,
    private readonly structuredIds: boolean,
  ) {
    const close = () => {
      if (this.closed) return
      this.closed = true
      this.unblock()
      for (const listener of this.closeListeners) listener()
    }
    call.on('drain', () => this.unblock())
    call.on('cancelled', close)
    call.on('error', close)
    call.on('close', close)
  }

  onClose(listener: () => void): void {
    this.closeListeners.push(listener)
  }

  private unblock(): void {
    const blocked = this.blocked
    this.blocked = undefined
    blocked?.()
  }

  /** @returns a promise to wait for when the client is not keeping up, undefined when more can be sent at once */
  send(message: Uint8Array): Promise<void> | undefined {
    if (this.closed) return undefined
    if (this.call.write(this.structuredIds ? withStructuredId(message) : message)) return undefined
    return new Promise((resolve) => {
      this.blocked = resolve
    })
  }

  end(): void {
    if (!this.closed) this.call.end()
  }

  fail(error: Error): void {
    if (!this.closed) this.call.emit('error', error)
  }
}
