import { ServerInterceptingCall } from '@grpc/grpc-js'
import type { ServerInterceptingCallInterface, ServerInterceptor } from '@grpc/grpc-js'

/**
 * Sends a page of messages without waiting for each. grpc-js by itself hands the next message to the connection when
 * the last one has left: about one per turn of the event loop. So a long read spent most of its time on small frames,
 * and answers to appends waited for one commit after the other.
 */
class PagedCall extends ServerInterceptingCall {
  constructor(private readonly inner: ServerInterceptingCallInterface) {
    super(inner)
  }

  /** @param page at least one message; `callback` comes when all have been handed to the connection */
  override sendMessage(page: readonly unknown[], callback: () => void): void {
    let left = page.length
    const sent = () => {
      if (--left === 0) callback()
    }
    for (const message of page) this.inner.sendMessage(message, sent)
  }
}

/** Makes the calls of the methods at `paths` take pages (arrays of messages) where others take one message. */
export const pageInterceptor =
  (paths: readonly string[]): ServerInterceptor =>
  (method, call) =>
    paths.includes(method.path) ? new PagedCall(call) : (call as ServerInterceptingCall)
