import type { Logger } from '@annals/platform/log'
import { Overloaded } from './faults'

/** Work that goes on after its request was answered, so that the answer tells nothing of it, not by its time either. */
export interface Background {
  /**
   * Begins in its turn. What it throws is logged; it is not repeated, and lost when the process is killed.
   * @throws Overloaded when too much waits.
   */
  add(job: () => Promise<void>): void
  /** Waits for what has been added. */
  close(): Promise<void>
}

export interface BackgroundOptions {
  log: Logger
  /** What it is, for the log and the refusal. */
  name: string
  /** Jobs that run at once. */
  concurrency: number
  /** Jobs that may wait. */
  waitingMax: number
}

export function createBackground({ log, name, concurrency, waitingMax }: BackgroundOptions): Background {
  const waiting: (() => Promise<void>)[] = []
  const running = new Set<Promise<void>>()

  async function work(): Promise<void> {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      try {
        await job()
      } catch (error) {
        log.error({ err: error }, `${name}: a job failed`)
      }
    }
  }

  return {
    add(job) {
      if (waiting.length >= waitingMax) throw new Overloaded(name, 1)
      waiting.push(job)
      if (running.size >= concurrency) return
      // Not in this turn of the event loop: the answer goes out first.
      const worker = new Promise<void>((resolve) => void setImmediate(resolve)).then(work)
      const tracked: Promise<void> = worker.finally(() => running.delete(tracked))
      running.add(tracked)
    },
    async close() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
