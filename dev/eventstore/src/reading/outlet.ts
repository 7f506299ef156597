import type { ServerWritableStream } from '@grpc/grpc-js'
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb'
import type { MessageForm } from './message-form'

/** A call of `Read`; it is answered in pages of messages already serialised (see services/page-interceptor.ts). */
export type ReadCall = ServerWritableStream<ReadReq, readonly Uint8Array[]>

/** Pages on their way to one client: the next is read from disk while the last is being sent. */
const UNDER_WAY_MAX = 2

/**
 * Where a read's messages go. Sending waits for a slow client, so that never more than two pages are held for it.
 */
export class Outlet {
  /** True when the client has gone or cancelled: nothing more can be sent. */
  closed = false
  private underWay = 0
  private resume: (() => void) | undefined
  private readonly closeListeners: (() => void)[] = []

  constructor(
    private readonly call: ReadCall,
    private readonly form: MessageForm | undefined,
  ) {
    const close = () => {
      if (this.closed) return
      this.closed = true
      this.resume?.()
      for (const listener of this.closeListeners) listener()
    }
    call.on('cancelled', close)
    call.on('error', close)
    call.on('close', close)
  }

  onClose(listener: () => void): void {
    this.closeListeners.push(listener)
  }

  /** @returns when the next page may be sent, or the client has gone */
  async send(page: readonly Uint8Array[]): Promise<void> {
    if (this.closed || page.length === 0) return
    this.underWay++
    this.call.write(this.form ? page.map(this.form) : page, () => {
      this.underWay--
      this.resume?.()
    })
    while (this.underWay >= UNDER_WAY_MAX && !this.closed)
      await new Promise<void>((resolve) => {
        this.resume = resolve
      })
  }

  end(): void {
    if (!this.closed) this.call.end()
  }

  fail(error: Error): void {
    if (!this.closed) this.call.emit('error', error)
  }
}
