import { CommandInProgress, Overloaded } from './faults'

/** What runs in this process: at most so much, and each command once. */
export interface InFlight {
  /**
   * Runs a command.
   * @param commandId of a command that a client may repeat; a repeat that meets its first run is refused.
   * @throws Overloaded when `max` commands run; CommandInProgress when this one does.
   */
  run<T>(commandId: string, work: () => Promise<T>): Promise<T>
  readonly size: number
}

export function createInFlight(max: number): InFlight {
  const running = new Set<string>()
  return {
    async run(commandId, work) {
      if (running.has(commandId)) throw new CommandInProgress(commandId)
      if (running.size >= max) throw new Overloaded('commands', 1)
      running.add(commandId)
      try {
        return await work()
      } finally {
        running.delete(commandId)
      }
    },
    get size() {
      return running.size
    },
  }
}
