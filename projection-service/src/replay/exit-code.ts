import { CommanderError } from 'commander'
import { ConfigError } from '@annals/platform/config'
import { NotPossible } from '../engine/tables/stream-lock'
import { SnapshotError } from './snapshots/as-of'
import { RebuildStopped } from './fold/bulk-fold'
import { ScopeTooLarge, TimeUnclear } from './source/event-source'
import { TopicsIncomplete } from './source/kafka-source'
import { NotEqual, RebuildRunning, Unverified } from './rebuild/rebuild'
import { RebuildTaken, RebuildUnfinished } from './rebuild/rebuild-state'
import { LogBehind, NoPrevious, SwapBusy } from './rebuild/swap'

/** Exit codes of the CLI, for scripts; they are part of its interface, and so are their names (`code` of a JSON line). */
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
  /** Nothing was compared with the rebuilt read model, and nothing counted again; nothing was swapped. */
  unverified: 7,
  /** Ended by a signal; the same call goes on from there. */
  interrupted: 130,
} as const

export type ExitName = keyof typeof exitCodes

/** For `--help`; at most 80 columns. */
export const exitCodeHelp = `Exit codes
  0    done
  1    fault; run it again, and it continues where it was
  2    wrong call or configuration, or not possible in this state
  3    rebuilt and live differ, nothing was swapped; rows differ (drift, diff);
       still parked (parked retry, drop)
  4    another rebuild is running, or unfinished (--verify-only)
  5    the swap was not let in; run it again
  6    this release cannot fold the log, or the log lacks what live has applied
  7    no check speaks for what was rebuilt; swap it with --accept-unverified
  130  interrupted; run it again, and it continues where it was`

export function exitNameOf(error: unknown): ExitName {
  // `--help` ends by an error, too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 'done' : 'usage'
  if (error instanceof ConfigError) return 'usage'
  if (error instanceof NotEqual) return 'notEqual'
  if (error instanceof RebuildRunning || error instanceof RebuildTaken) return 'running'
  if (error instanceof RebuildUnfinished) return 'running'
  if (error instanceof Unverified) return 'unverified'
  if (error instanceof SwapBusy) return 'busy'
  if (error instanceof RebuildStopped || error instanceof LogBehind) return 'stopped'
  if (error instanceof TopicsIncomplete) return 'stopped'
  if (error instanceof NoPrevious || error instanceof NotPossible) return 'usage'
  if (error instanceof SnapshotError || error instanceof ScopeTooLarge || error instanceof TimeUnclear) return 'usage'
  if ((error as { name?: unknown } | null)?.name === 'AbortError') return 'interrupted'
  return 'fault'
}

export const exitCodeOf = (error: unknown): number => exitCodes[exitNameOf(error)]
