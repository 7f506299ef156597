import { parentPort, workerData } from 'node:worker_threads'
import { createEventLog } from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import type { Answer, Order, PackedEvent, ReaderSettings } from './threaded-reader'

const port = parentPort!
const { url, logLevel, readSize, readAhead } = workerData as ReaderSettings
const log = createEventLog(url, createLogger('replay', logLevel))
const answer = (message: Answer) => port.postMessage(message)

/** Chunks sent that were not yet taken. */
let ahead = 0
/** Nobody wants the rest of this read. */
let isLeft = false
let goOn: (() => void) | undefined

async function send(chunk: PackedEvent[]): Promise<void> {
  answer({ kind: 'chunk', events: JSON.stringify(chunk) })
  ahead++
  if (ahead >= readAhead && !isLeft) await new Promise<void>((resolve) => (goOn = resolve))
}

async function read({ after, prefixes }: Extract<Order, { kind: 'read' }>): Promise<void> {
  ahead = 0
  isLeft = false
  let chunk: PackedEvent[] = []
  const from = after === undefined ? undefined : BigInt(after)
  for await (const event of log.readAll({ after: from, ...(prefixes ? { prefixes } : {}) })) {
    if (isLeft) break
    const { id, type, stream, revision, position, createdAt, data, metadata } = event
    if (chunk.push([id, type, stream, revision, position.toString(), createdAt, data, metadata]) < readSize) continue
    await send(chunk)
    chunk = []
  }
  if (chunk.length > 0 && !isLeft) await send(chunk)
  answer({ kind: 'end' })
}

port.on('message', (order: Order) => {
  if (order.kind === 'read') {
    read(order).catch((error: unknown) =>
      answer({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
    )
    return
  }
  if (order.kind === 'taken') ahead--
  else isLeft = true
  goOn?.()
  goOn = undefined
})
