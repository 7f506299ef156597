import { Command, CommanderError } from 'commander'
import { ConfigError } from '@annals/platform/config'
import type { Projection } from '../engine/projection'
import { projections } from '../projections'
import { addAudit } from './commands/audit'
import { addParked } from './commands/parked'
import { addRefold } from './commands/refold'
import { addSides } from './commands/sides'
import { exitCodeOf, exitCodes } from './exit-code'
import { createProgress, duration, grouped } from './progress'
import { excludingRebuilds, NotEqual, rebuildAll } from './rebuild'
import { abortRebuild } from './rebuild-state'
import { statusOf, type Status } from './status'
import { dropPrevious, rollBack } from './swap'
import { positiveInteger, print, projectionArgument, useEnvironment, withSystem } from './system'

async function rebuild(
  named: Projection[],
  options: { all?: true; dryRun?: true; throttle?: number; restart?: true },
  command: Command,
): Promise<void> {
  const chosen = options.all ? [...projections] : [...new Set(named)]
  if (chosen.length === 0) command.error('error: name projections, or --all', { exitCode: exitCodes.usage })
  if (options.dryRun) return plan(chosen)

  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort())
  const progress = createProgress(process.stdout)
  const began = performance.now()
  try {
    await withSystem(chosen.length, async (system) => {
      const rebuilt = await rebuildAll(chosen, {
        ...system,
        observer: progress,
        signal: interruption.signal,
        throttle: options.throttle,
        restart: options.restart ?? false,
      })
      progress.stop()
      const seconds = (performance.now() - began) / 1000
      const events = Math.max(...rebuilt.map((one) => Number(one.events)))
      print(`done in ${duration(seconds)}: ${grouped(events)} events, ${grouped(Math.round(events / seconds))}/s`)
      print('the former tables stay for `replay rollback`, until `replay drop-previous`')
    })
  } finally {
    progress.stop()
  }
}

async function plan(chosen: readonly Projection[]): Promise<void> {
  await withSystem(chosen.length, async ({ pool, log }) => {
    print(`log ends at position ${(await log.head()) ?? 'none: it is empty'}`)
    for (const projection of chosen) {
      const { liveVersion, empty, rows, rebuild: last, previousVersion } = await statusOf(pool, projection)
      const open = last && !['live', 'aborted'].includes(last.state)
      const lines = [
        `would be rebuilt at version ${projection.version}`,
        empty
          ? 'first build: nothing was ever applied to it, a sample of streams is checked'
          : `live: version ${liveVersion}, ${grouped(rows)} rows, compared ` +
            (liveVersion === projection.version ? 'row by row' : 'by a sample of streams'),
        ...(open ? [`goes on after ${grouped(last.events)} events`] : []),
        ...(previousVersion === undefined ? [] : [`drops the previous generation, version ${previousVersion}`]),
      ]
      for (const [i, line] of lines.entries()) print(`${(i === 0 ? projection.name : '').padEnd(16)} ${line}`)
    }
    print('nothing was changed')
  })
}

async function status(options: { json?: true }): Promise<void> {
  const found = await withSystem(1, async ({ pool }) => {
    const all: Status[] = []
    for (const projection of projections) all.push(await statusOf(pool, projection))
    return all
  })
  if (options.json) return print(JSON.stringify(found))
  print('projection       live  release  previous        rows  parked  last rebuild')
  for (const { projection, liveVersion, version, previousVersion, rows, parkedStreams, rebuild: last } of found) {
    print(
      [
        projection.padEnd(16),
        String(liveVersion ?? '-').padStart(4),
        String(version).padStart(8),
        String(previousVersion ?? '-').padStart(9),
        grouped(rows).padStart(11),
        String(parkedStreams).padStart(7),
        ` ${last ? `${last.state}, ${last.updatedAt.slice(0, 19)}` : '-'}`,
      ].join(' '),
    )
  }
}

function program(): Command {
  const cli = new Command('replay')
    .description('Rebuilds read models from the log, beside the live ones, proves them equal, and swaps them in.')
    .exitOverride()
    .showHelpAfterError()
  cli
    .command('rebuild', { isDefault: true })
    .argument('[projection...]', 'read models to rebuild', projectionArgument)
    .option('--all', 'every read model, with one read of the log')
    .option('--dry-run', 'tell what would be done')
    .option('--throttle <events>', 'events per second at most', positiveInteger)
    .option('--restart', 'throw away what an unfinished rebuild has done')
    .action((named: Projection[] | undefined, options, command: Command) => rebuild(named ?? [], options, command))
  cli.command('status').description('versions, rows, parked streams, rebuilds').option('--json').action(status)
  cli
    .command('abort')
    .description('ends an unfinished rebuild and drops its shadow')
    .argument('<projection>', 'read model', projectionArgument)
    .action(([projection]: Projection[]) =>
      withSystem(1, async ({ pool }) => {
        const there = await excludingRebuilds(pool, [projection!], () =>
          abortRebuild(pool, projection!.name, 'by the operator'),
        )
        print(there ? `${projection!.name}: aborted` : `${projection!.name}: there was nothing to abort`)
      }),
    )
  cli
    .command('rollback')
    .description('live and previous generation change places')
    .argument('<projection>', 'read model', projectionArgument)
    .action(([projection]: Projection[]) =>
      withSystem(1, async ({ pool }) => {
        const version = await excludingRebuilds(pool, [projection!], () => rollBack(pool, projection!))
        print(`${projection!.name}: version ${version} is live again, and catches up from its own position`)
      }),
    )
  cli
    .command('drop-previous')
    .description('drops the generation kept for rollback')
    .argument('<projection>', 'read model', projectionArgument)
    .action(([projection]: Projection[]) =>
      withSystem(1, async ({ pool }) => {
        await excludingRebuilds(pool, [projection!], () => dropPrevious(pool, projection!))
        print(`${projection!.name}: the previous generation is gone`)
      }),
    )
  addParked(cli)
  addRefold(cli)
  addAudit(cli)
  addSides(cli, { withSystem, projectionArgument })
  cli.addHelpText(
    'after',
    `
Exit codes
  0    done
  1    fault; run it again, it goes on from where it was
  2    wrong call or configuration
  3    rebuilt and live differ, nothing was swapped; rows differ (audit, diff); still parked (parked retry, drop)
  4    another rebuild is running
  5    the swap was not let in; run it again
  6    the log can not be folded by this release
  130  interrupted; run it again, it goes on from where it was`,
  )
  return cli
}

function explain(error: unknown): void {
  if (error instanceof CommanderError) return
  const interrupted = exitCodeOf(error) === exitCodes.interrupted
  const fault = error instanceof Error ? error.message : String(error)
  const text = interrupted ? 'interrupted; the same call goes on from here' : fault
  process.stderr.write(`${text}\n`)
  if (error instanceof NotEqual) {
    for (const key of error.verification.differing) process.stderr.write(`  ${key}\n`)
    process.stderr.write(
      'Nothing was swapped. `replay status` tells what is parked; parked events of live make a difference.\n',
    )
  }
}

async function main(): Promise<void> {
  useEnvironment(process.env)
  try {
    await program().parseAsync()
  } catch (error) {
    explain(error)
    process.exitCode =
      error instanceof CommanderError
        ? error.exitCode === 0
          ? exitCodes.done
          : exitCodes.usage
        : error instanceof ConfigError
          ? exitCodes.usage
          : exitCodeOf(error)
  }
}

void main()
