import { ErrorType, EventStoreDBClient } from '@eventstore/db-client'
import type { Logger } from 'pino'
import { errorCode } from './errors'

/** What was asked on the former client may still be answered for so long. */
const graceMs = 5_000

/** After these the client connects anew by itself. As its own errors say it, and as gRPC does: https://grpc.io/docs/guides/status-codes/ */
const ownBusiness = new Set<string | number | undefined>([ErrorType.UNAVAILABLE, ErrorType.CANCELLED, 14, 1])

export interface RenewableClient {
  readonly current: EventStoreDBClient
  /**
   * A call failed in a way that says nothing about the request, or was not answered in time. The connection may be
   * dead; the client's own keepalive notices that after 20 s.
   */
  failed(error: unknown): void
  close(): Promise<void>
}

/**
 * The official client, made anew when its connection may be dead. Whatever else @eventstore/db-client 6.2.1 keeps of a connection
 * that failed while it was made (which features the server has, for one) goes with it.
 */
export function createRenewableClient(url: string, log: Logger, renewEveryMs: number): RenewableClient {
  let generation = 0
  const open = () => EventStoreDBClient.connectionString(withOwnConnection(url, generation++))
  let current = open()
  let renewedAt = -Infinity

  function renew(reason: string): void {
    if (performance.now() - renewedAt < renewEveryMs) return
    renewedAt = performance.now()
    log.warn({ reason }, 'the client of the log is replaced')
    const stuck = current
    current = open()
    setTimeout(() => void end(stuck), graceMs).unref()
  }

  return {
    get current() {
      return current
    },
    failed(error) {
      if (!ownBusiness.has(errorCode(error))) renew(error instanceof Error ? error.message : String(error))
    },
    close: () => end(current),
  }
}

/**
 * All clients of a process share gRPC's connections to one address, a dead one as well, unless a setting of theirs differs: the
 * time between two keepalives does, by some ms. Default: the client's own 10 s.
 */
function withOwnConnection(url: string, generation: number): string {
  const [address, query] = url.split('?') as [string, string?]
  const settings = new URLSearchParams(query)
  const keepAliveMs = Number(settings.get('keepAliveInterval') ?? 10_000)
  // Negative: switched off.
  if (keepAliveMs >= 0) settings.set('keepAliveInterval', String(keepAliveMs + (generation % 1_000)))
  return `${address}?${settings.toString()}`
}

/** Ends its calls, and its connection: the client's own `dispose` leaves that to gRPC, which keeps it for half an hour. */
async function end(client: EventStoreDBClient): Promise<void> {
  await client.dispose()
  const { getChannel } = client as unknown as { getChannel(): Promise<{ close(): void }> }
  ;(await getChannel()).close()
}
