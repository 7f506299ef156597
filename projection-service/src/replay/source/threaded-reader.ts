import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { eventsOfMessages, type EventLog, type LogEvent, type LogExtent } from '@annals/platform/event-log'
import type { Pace } from '../fold/pace'

/** What the thread is made with. */
export interface ReaderSettings extends Pick<Pace, 'readSize' | 'readAhead'> {
  url: string
  logLevel: string
}

/** What the thread is told. `read` begins a read, when the one before has ended. `taken` asks for the chunk after those that are ahead; `leave` for the end. */
export type Order = { kind: 'read'; extent: LogExtent } | { kind: 'taken' | 'leave' }

/** `packed`: for `eventsOfMessages`. Its bytes are handed over, not copied; objects would be cloned field by field. */
export type Answer = { kind: 'chunk'; packed: ArrayBuffer } | { kind: 'end' } | { kind: 'failed'; message: string }

const leaveWithinMs = 500

/** What a thread answers, in its order, its end included. */
class ReaderThread {
  readonly #worker: Worker
  readonly #answers: Answer[] = []
  #wake: (() => void) | undefined

  constructor(settings: ReaderSettings) {
    this.#worker = new Worker(path.join(__dirname, 'reader-thread.js'), { workerData: settings })
    this.#worker.on('message', (answer: Answer) => this.#push(answer))
    this.#worker.on('error', (error) => this.#push({ kind: 'failed', message: String(error) }))
    this.#worker.on('exit', (code) =>
      this.#push({ kind: 'failed', message: `the reading thread ended with code ${code}` }),
    )
  }

  #push(answer: Answer): void {
    this.#answers.push(answer)
    this.#wake?.()
  }

  order(order: Order): void {
    this.#worker.postMessage(order)
  }

  async answer(): Promise<Answer> {
    for (;;) {
      const answer = this.#answers.shift()
      if (answer) return answer
      await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
    }
  }

  /**
   * Leaves a read in its middle; what still comes of it is thrown away.
   * @returns whether the thread is free for the next one: where the server does not answer, it is not waited for.
   */
  async leave(): Promise<boolean> {
    this.order({ kind: 'leave' })
    const timer = setTimeout(() => this.#push({ kind: 'failed', message: 'the log does not answer' }), leaveWithinMs)
    try {
      for (;;) {
        const { kind } = await this.answer()
        if (kind !== 'chunk') return kind === 'end'
      }
    } finally {
      clearTimeout(timer)
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}

/**
 * Reads the log in a thread of its own: what the gRPC client spends on an event is as much as a fold costs, and the
 * two run side by side. Starting a thread takes a third of a second of a core. So a thread that has read to the end
 * is kept for the next read: a rebuild reads once at length, and then several times what has come since.
 */
export function createThreadedReader(settings: ReaderSettings) {
  let idle: ReaderThread | undefined

  async function* readAll(extent: LogExtent): AsyncGenerator<LogEvent, void, undefined> {
    const { after } = extent
    const thread = idle ?? new ReaderThread(settings)
    idle = undefined
    let isReading = true
    let isFree = false
    try {
      thread.order({ kind: 'read', extent })
      for (;;) {
        const answer = await thread.answer()
        isReading = answer.kind === 'chunk'
        if (answer.kind === 'failed') throw new Error(`the log could not be read: ${answer.message}`)
        if (answer.kind === 'end') break
        thread.order({ kind: 'taken' })
        for (const event of eventsOfMessages(answer.packed)) {
          // A read from a position includes the event at it.
          if (after === undefined || event.position > after) yield event
        }
      }
      isFree = true
    } finally {
      if (isReading) isFree = await thread.leave()
      if (isFree && !idle) idle = thread
      else await thread.end()
    }
  }

  return { readAll: readAll as EventLog['readAll'], close: async () => idle?.end() }
}
