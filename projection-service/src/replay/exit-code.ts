import { NotPossible } from '../engine/stream-lock'
import { SideError } from './as-of'
import { RebuildStopped } from './builder'
import { ScopeTooLarge } from './event-source'
import { TopicsIncomplete } from './kafka-source'
import { NotEqual, RebuildRunning } from './rebuild'
import { RebuildTaken, RebuildUnfinished } from './rebuild-state'
import { LogBehind, NoPrevious, SwapBusy } from './swap'

/** Exit codes of the CLI, for scripts; they are part of its interface. */
export const exitCodes = {
  done: 0,
  /** Something unforeseen, or a server that does not answer. What was done is kept: the same call goes on from there. */
  fault: 1,
  /** The call itself is wrong: unknown projection or option, incomplete configuration, not possible as things stand. */
  usage: 2,
  /** Rebuilt and live differ, and nothing was swapped; rows differ from the log; an event is still parked after a retry. */
  notEqual: 3,
  /** Another rebuild of the projection is running, or stands unfinished where only a verification was asked for. */
  running: 4,
  /** The swap did not get its turn; the same call tries again. */
  busy: 5,
  /** The log holds what this release can not fold, or lacks what live has applied. */
  stopped: 6,
  /** Ended by a signal; the same call goes on from there. */
  interrupted: 130,
} as const

export function exitCodeOf(error: unknown): number {
  if (error instanceof NotEqual) return exitCodes.notEqual
  if (error instanceof RebuildRunning || error instanceof RebuildTaken) return exitCodes.running
  if (error instanceof RebuildUnfinished) return exitCodes.running
  if (error instanceof SwapBusy) return exitCodes.busy
  if (error instanceof RebuildStopped || error instanceof LogBehind) return exitCodes.stopped
  if (error instanceof TopicsIncomplete) return exitCodes.stopped
  if (error instanceof NoPrevious || error instanceof NotPossible) return exitCodes.usage
  if (error instanceof SideError || error instanceof ScopeTooLarge) return exitCodes.usage
  if ((error as { name?: unknown } | null)?.name === 'AbortError') return exitCodes.interrupted
  return exitCodes.fault
}
