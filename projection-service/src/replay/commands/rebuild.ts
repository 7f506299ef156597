import { Option, type Command } from 'commander'
import type { Snapshot } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { createTopics } from '@annals/platform/kafka'
import { NotPossible } from '../../engine/tables/stream-lock'
import { exitCodes } from '../exit-code'
import { paceOf } from '../fold/pace'
import { requireTopicsOfLog } from '../rebuild/accept-log'
import { rebuildAll, type Rebuilt } from '../rebuild/rebuild'
import type { ReportResult } from '../reporting/report'
import { reporter } from '../reporting/output'
import { withSystem, type System } from '../system'
import {
  chosenProjections,
  labelArgument,
  operator,
  pointArgument,
  positiveInteger,
  projectionArgument,
  streamArgument,
  userArgument,
} from './arguments'
import { interruptible } from './interruption'
import { plan } from './plan'
import { scopeOf, type ScopeFlags } from './scope'
import { foldSnapshot } from './snapshot'

interface Flags extends ScopeFlags {
  all?: true
  dryRun?: true
  throttle?: number
  restart?: true
  verifyOnly?: true
  acceptUnverified?: true
  acceptLog?: true
  fromFirstOffset?: true
  acceptDifferences?: true
  into?: Snapshot
  json?: true
}

const resultOf = ({ projection, version, events, verification, swapped, lockedMs }: Rebuilt): ReportResult => ({
  projection,
  version,
  events: Number(events),
  rows: Number(verification.rebuilt.rows),
  compared: verification.compared,
  equal: verification.equal,
  sampled: verification.sampled,
  recounted: verification.recounted,
  ...(verification.deleted.length > 0 ? { deleted: verification.deleted } : {}),
  ...(swapped ? { lockedMs: Math.round(lockedMs) } : {}),
})

async function rebuild(chosen: readonly Projection[], flags: Flags): Promise<void> {
  const { throttle, restart, verifyOnly, acceptUnverified, acceptDifferences, acceptLog, fromFirstOffset, json } = flags
  const told = reporter(json)
  const began = performance.now()
  try {
    const rebuilt = await interruptible((signal) =>
      withSystem(
        chosen.length,
        async (system) => {
          if (acceptLog) await requireTopics(chosen, system)
          return rebuildAll(chosen, {
            ...system,
            observer: told,
            signal,
            throttle,
            restart: restart ?? false,
            verifyOnly: verifyOnly ?? false,
            acceptUnverified: acceptUnverified ?? false,
            acceptLog: acceptLog ?? false,
            fromFirstOffset: fromFirstOffset ?? false,
            acceptDifferences: acceptDifferences ?? false,
            actor: operator(),
          })
        },
        paceOf(throttle),
      ),
    )
    const seconds = (performance.now() - began) / 1_000
    told.done({ results: rebuilt.map(resultOf), seconds, isSwapped: !verifyOnly })
  } finally {
    told.stop()
  }
}

async function requireTopics(chosen: readonly Projection[], { pool, log, logger, kafka }: System): Promise<void> {
  if (!kafka) throw new NotPossible('--accept-log looks at the topics as well: set KAFKA_BROKERS')
  const topics = createTopics({ ...kafka, clientId: 'annals-replay', log: logger })
  try {
    await requireTopicsOfLog(pool, chosen, log, topics)
  } finally {
    await topics.close()
  }
}

/** One call: what it folds, and so whether it rebuilds or makes a snapshot, stands in its flags. */
function run(named: Projection[] | undefined, flags: Flags, command: Command): Promise<void> {
  const refuse = (reason: string): never => command.error(`error: ${reason}`, { exitCode: exitCodes.usage })
  const chosen = chosenProjections(named, flags, command)
  const { dryRun, throttle, restart, verifyOnly, acceptUnverified, acceptDifferences, acceptLog, fromFirstOffset } =
    flags
  if (dryRun && verifyOnly) return refuse('--dry-run does nothing, --verify-only compares: leave one of them out')
  if (acceptLog && !flags.all) return refuse('--accept-log is about every read model: say --all as well')
  if (acceptLog && (dryRun || verifyOnly)) return refuse('--accept-log swaps: leave --dry-run and --verify-only out')
  if (verifyOnly && acceptDifferences) return refuse('--verify-only swaps nothing: leave --accept-differences out')
  const ofRebuild = {
    '--dry-run': dryRun,
    '--verify-only': verifyOnly,
    '--throttle': throttle,
    '--restart': restart,
    '--accept-unverified': acceptUnverified,
    '--accept-log': acceptLog,
    '--from-first-offset': fromFirstOffset,
    '--accept-differences': acceptDifferences,
  }
  const scope = scopeOf(flags, ofRebuild)
  if (scope && 'refused' in scope) return refuse(scope.refused)
  if (scope) return foldSnapshot(chosen, scope, flags.into, flags.json)
  if (flags.into) {
    return refuse(
      '--into names a snapshot: say what it holds, with --as-of, --stream, --user, --from, --to or --source kafka',
    )
  }
  return dryRun ? plan(chosen, flags.json) : rebuild(chosen, flags)
}

/** `replay <projection…>`: read models rebuilt beside the live ones, compared, and swapped in; or a part folded aside. */
export function addRebuild(program: Command): void {
  program
    .command('rebuild', { isDefault: true })
    .description('rebuilds read models; or, told what to fold, makes snapshots beside the live ones')
    .argument('[projection...]', 'read models', projectionArgument)
    .option('--all', 'every read model, with one read of the log')
    .option('--json', 'lines of JSON instead of text')
    .optionsGroup('A rebuild:')
    .option('--dry-run', 'tell what would be done')
    .option('--verify-only', 'build, compare with live, and swap nothing')
    .option('--throttle <events>', 'events per second at most', positiveInteger)
    .option('--restart', 'throw away what an unfinished rebuild has done')
    .option('--accept-differences', 'swap although live differs, if what was recounted agrees')
    .option('--accept-unverified', 'swap although nothing could be compared or counted again')
    .option('--accept-log', 'take the log as it is, although live is ahead of it (--all)')
    .option('--from-first-offset', 'read topics from their first record after the swap')
    .optionsGroup('A snapshot, in tables of its own; the live read models are not touched:')
    .option('--as-of <point>', 'the log up to a time or position, that included', pointArgument)
    .option('--stream <stream>', 'this stream, whole', streamArgument)
    .option('--user <userId>', 'streams with an event of this user, whole', userArgument)
    .option('--from <point>', 'streams with an event from a time or position on, whole', pointArgument)
    .option('--to <point>', 'streams with an event before a time or position, whole', pointArgument)
    .addOption(new Option('--source <source>', 'where a snapshot is read from').choices(['log', 'kafka']))
    .option('--into <label>', 'name of the snapshot (default: after what it holds)', labelArgument)
    .action(run)
}
