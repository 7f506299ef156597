import { parentPort, workerData } from 'node:worker_threads'
import { createEventLog, packMessages } from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import type { Answer, Order, ReaderSettings } from './threaded-reader'

const port = parentPort!
const { url, logLevel, readSize, readAhead } = workerData as ReaderSettings
const log = createEventLog(url, createLogger('replay', logLevel))
const answer = (message: Answer) => port.postMessage(message)

/** Chunks sent that were not yet taken. */
let ahead = 0
/** Nobody wants the rest of this read. */
let isLeft = false
let goOn: (() => void) | undefined

async function send(messages: readonly Buffer[]): Promise<void> {
  const packed = packMessages(messages)
  port.postMessage({ kind: 'chunk', packed } satisfies Answer, [packed])
  ahead++
  if (ahead >= readAhead && !isLeft) await new Promise<void>((resolve) => (goOn = resolve))
}

async function read({ extent }: Extract<Order, { kind: 'read' }>): Promise<void> {
  ahead = 0
  isLeft = false
  let chunk: Buffer[] = []
  for await (const messages of log.readAllMessages(extent)) {
    if (isLeft) break
    for (const message of messages) {
      if (chunk.push(message) < readSize) continue
      await send(chunk)
      chunk = []
    }
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
