import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import type { Snapshot } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { dropSnapshots, makeSnapshots } from '../snapshots/as-of'
import { diffOf, type Diff } from '../snapshots/diff'
import { exitCodes } from '../exit-code'
import { grouped } from '../reporting/words'
import { print } from '../reporting/output'
import { withSystem, type System } from '../system'
import { projectionArgument, type Standing, standingArgument } from './arguments'
import { interruptible } from './interruption'
import { pointText, sourceUpTo } from './snapshot-source'

/** Differences listed; all are counted. */
const listedMax = 1_000

/** A comparison may name points: these are folded for it alone. */
async function compare(
  projection: Projection,
  [before, after]: readonly [Standing, Standing],
  system: System,
  signal: AbortSignal,
): Promise<Diff> {
  const temporary: Snapshot[] = []
  const snapshotFor = async (standing: Standing): Promise<Snapshot | 'live'> => {
    if (standing.kind === 'snapshot') return standing.snapshot
    const snapshot: Snapshot = `asof_tmp_${randomBytes(4).toString('hex')}`
    const source = sourceUpTo(standing.point, 'log', [projection], system)
    const facts = { kind: 'as-of', what: pointText(standing.point) } as const
    await makeSnapshots({ projections: [projection], snapshot, source, facts, signal, ...system })
    temporary.push(snapshot)
    return snapshot
  }
  try {
    return await diffOf(system.pool, projection, await snapshotFor(before), await snapshotFor(after), listedMax)
  } finally {
    for (const snapshot of temporary) await dropSnapshots(system.pool, [projection], snapshot)
  }
}

const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

function tell({ differences, added, removed, changed }: Diff): void {
  const signs = { added: '+', removed: '-', changed: '~' }
  for (const { key, kind, columns } of differences) {
    print(`${signs[kind]} ${key}`)
    for (const { column, before, after } of columns) print(`    ${column}: ${shown(before)} -> ${shown(after)}`)
  }
  const total = added + removed + changed
  if (differences.length < total) print(`  … and ${grouped(total - differences.length)} more`)
  print(
    total === 0
      ? 'no differences'
      : `${grouped(added)} added, ${grouped(removed)} removed, ${grouped(changed)} changed`,
  )
}

async function diff(projection: Projection, points: readonly [Standing, Standing], isJson: boolean): Promise<void> {
  const found = await interruptible((signal) => withSystem(1, (system) => compare(projection, points, system, signal)))
  if (isJson) print(JSON.stringify(found))
  else tell(found)
  if (found.added + found.removed + found.changed > 0) process.exitCode = exitCodes.notEqual
}

/** `replay diff`: rows that differ between two states of a read model. */
export function addDiff(program: Command): void {
  program
    .command('diff')
    .description('rows that differ between two states of a read model; exit code 3 when there are any')
    .argument('<projection>', 'read model', projectionArgument)
    .argument('<before>', 'a label, a time, a position, or live', standingArgument)
    .argument('<after>', 'likewise', standingArgument)
    .option('--json', 'as one JSON document')
    .action(([projection]: Projection[], before: Standing, after: Standing, { json }: { json?: true }) =>
      diff(projection!, [before, after], Boolean(json)),
    )
}
