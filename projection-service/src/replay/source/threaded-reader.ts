import path from 'node:path'
import { Worker } from 'node:worker_threads'
import type { EventLog, LogEvent } from '@annals/platform/event-log'

/** What the thread is told; it ends with the log, or when it is terminated. */
export interface ReadRequest {
  url: string
  logLevel: string
  /** Decimal; bigint crosses threads, but JSON, which the answers are, does not know it. */
  after: string | undefined
  prefixes: readonly string[] | undefined
}

/** JSON of an array of events: cheaper to hand over than objects, which would be cloned field by field. */
export type Answer = { kind: 'chunk'; events: string } | { kind: 'end' } | { kind: 'failed'; message: string }

/** An event in a chunk: id, type, stream, revision, position, data, metadata. */
export type PackedEvent = [string, string, string, number, string, unknown, unknown]

/** Chunks that the thread may be ahead: bounds memory to some 8 MB, and hides the time of a flush. */
export const chunksAheadMax = 8

/**
 * Reads the log in a thread of its own: what the gRPC client spends on an event is as much as a fold costs, and the two run
 * side by side.
 */
export function threadedReadAll(url: string, logLevel: string): EventLog['readAll'] {
  return async function* ({ after, prefixes }): AsyncGenerator<LogEvent> {
    const request: ReadRequest = { url, logLevel, after: after?.toString(), prefixes }
    const worker = new Worker(path.join(__dirname, 'reader-thread.js'), { workerData: request })
    const answers: Answer[] = []
    let wake: (() => void) | undefined
    const push = (answer: Answer) => {
      answers.push(answer)
      wake?.()
    }
    worker.on('message', push)
    worker.on('error', (error) => push({ kind: 'failed', message: String(error) }))
    worker.on('exit', (code) => push({ kind: 'failed', message: `the reading thread ended with code ${code}` }))
    try {
      for (;;) {
        const answer = answers.shift()
        if (!answer) {
          await new Promise<void>((resolve) => (wake = resolve))
          wake = undefined
          continue
        }
        if (answer.kind === 'end') return
        if (answer.kind === 'failed') throw new Error(`the log could not be read: ${answer.message}`)
        worker.postMessage('next')
        for (const [id, type, stream, revision, position, data, metadata] of JSON.parse(answer.events) as PackedEvent[])
          yield { id, type, stream, revision, position: BigInt(position), data, metadata }
      }
    } finally {
      await worker.terminate()
    }
  }
}
