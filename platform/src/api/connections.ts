import type { Server } from 'node:http'
import { isIPv6 } from 'node:net'
import { canonicalAddress, networkOf, type TrustedProxies } from '../client-address'

export interface ConnectionLimits {
  /** Open connections. What comes beyond is closed at once: who is connected goes on. */
  connectionsMax: number
  /**
   * Of one address, or of one /64 of IPv6. A client that opens connections and says nothing holds each for 15 s (`request-time.ts`); so
   * many can not take the others' places. A proxy that is trusted speaks for many clients and is not counted.
   */
  perAddressMax: number
}

/** A connection takes some 10 kB: 40 MB in all. */
const usual: ConnectionLimits = { connectionsMax: 4_096, perAddressMax: 512 }

/** Bounds how many connections a server holds, in all and of one address. */
export function boundConnections(server: Server, trustedProxies: TrustedProxies, limits = usual): void {
  server.maxConnections = limits.connectionsMax
  const open = new Map<string, number>()
  server.on('connection', (socket) => {
    const address = canonicalAddress(socket.remoteAddress ?? '')
    // Gone already.
    if (address === undefined) return
    if (trustedProxies.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) return
    const network = networkOf(address)
    const count = (open.get(network) ?? 0) + 1
    if (count > limits.perAddressMax) return void socket.destroy()
    open.set(network, count)
    socket.once('close', () => {
      const left = open.get(network)! - 1
      if (left === 0) open.delete(network)
      else open.set(network, left)
    })
  })
}
