import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { TestScope } from '@annals/platform/testing'

/** A wire to a real server that a test can cut and mend; the server itself goes on, for others. */
export interface CuttableWire {
  /** The server's address, through the wire. */
  url: string
  cut(): void
  /** Connections stay and are made, and nothing goes through them any more: a server that is frozen. */
  freeze(): void
  mend(): void
}

export async function layWire(scope: TestScope, url: string): Promise<CuttableWire> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let whole = true
  let frozen = false
  const server = createServer((near) => {
    if (!whole) return near.destroy()
    const far = connect(Number(target.port), target.hostname)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.pipe(other)
      if (frozen) one.unpipe(other).pause()
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    return undefined
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const through = new URL(url)
  through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const drop = () => {
    for (const socket of sockets) socket.destroy()
  }
  scope.onEnd(() => {
    drop()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  }, 'wire')
  return {
    url: through.href,
    cut() {
      whole = false
      drop()
    },
    freeze() {
      frozen = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    mend() {
      whole = true
      // What was held back is lost, as the connections are.
      if (frozen) drop()
      frozen = false
    },
  }
}
