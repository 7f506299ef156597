import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { createEventLog } from '@annals/platform/event-log'
import { createLogger } from '@annals/platform/log'
import { chunksAheadMax, type Answer, type PackedEvent, type ReadRequest } from './threaded-reader'

/** Events in a chunk: few enough that the folding thread never waits long for one. */
const chunkSize = 500

const port = parentPort!
const { url, logLevel, after, prefixes } = workerData as ReadRequest
const answer = (message: Answer) => port.postMessage(message)

/** Chunks sent that were not yet taken; each taken one comes back as a message. */
let ahead = 0
port.on('message', () => ahead--)

async function send(chunk: PackedEvent[]): Promise<void> {
  answer({ kind: 'chunk', events: JSON.stringify(chunk) })
  ahead++
  if (ahead >= chunksAheadMax) await once(port, 'message')
}

async function read(): Promise<void> {
  const log = createEventLog(url, createLogger('replay', logLevel))
  let chunk: PackedEvent[] = []
  const from = after === undefined ? undefined : BigInt(after)
  for await (const event of log.readAll({ after: from, ...(prefixes ? { prefixes } : {}) })) {
    const { id, type, stream, revision, position, data, metadata } = event
    if (chunk.push([id, type, stream, revision, position.toString(), data, metadata]) < chunkSize) continue
    await send(chunk)
    chunk = []
  }
  if (chunk.length > 0) await send(chunk)
  answer({ kind: 'end' })
  await log.close()
}

read().catch((error: unknown) =>
  answer({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
)
