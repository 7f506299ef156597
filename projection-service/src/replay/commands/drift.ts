import type { Command } from 'commander'
import { checkDrift, type DriftReport } from '../../drift/check'
import type { Projection } from '../../engine/definition/projection'
import { registered } from '../../engine/tables/registry'
import { exitCodes } from '../exit-code'
import { counted, grouped } from '../reporting/words'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { chosenProjections, positiveInteger, projectionArgument } from './arguments'

/** Streams of each read model that are looked at unless told otherwise, and 20 events of the log for each: some seconds. */
const streamsStandard = 1_000
/** Rows that are told of each stream; the first few show the pattern. */
const rowsShownMax = 10

async function checkChosen(
  named: Projection[] | undefined,
  options: { all?: true; streams?: number; json?: true },
  command: Command,
): Promise<void> {
  const chosen = chosenProjections(named, options, command)
  const found = await withSystem(1, async (system) => {
    const all: DriftReport[] = []
    for (const projection of chosen) {
      if (!(await registered(system.pool, projection.name))) {
        if (!options.json) print(`${projection.name.padEnd(16)} is not installed yet`)
        continue
      }
      all.push(await checkDrift(projection, options.streams ?? streamsStandard, system))
    }
    return all
  })
  if (options.json) print(JSON.stringify(found))
  else found.forEach(printReport)
  if (found.some(({ differing }) => differing.length > 0)) process.exitCode = exitCodes.notEqual
}

function printReport({ projection, by, compared, walked, passedOver, deleted, differing }: DriftReport): void {
  const rest = passedOver > 0 ? `, ${grouped(passedOver)} skipped` : ''
  const differ = `${grouped(differing.length)} ${differing.length === 1 ? 'differs' : 'differ'}`
  print(`${projection.padEnd(16)} ${counted(compared, 'stream')} compared${rest}, ${differ}`)
  if (by === 'revisions') print('  by their revisions only: its rows are made of many streams, a rebuild counts them')
  print(`  ${counted(walked, 'event')} of the log searched for missing streams`)
  for (const stream of deleted) print(`  ${stream}\n    deleted in the log, in whole or in part`)
  for (const { stream, differences } of differing) {
    print(`  ${stream}`)
    for (const { key, columns } of differences.slice(0, rowsShownMax)) print(`    ${key}: ${columns.join(', ')}`)
  }
}

/** `replay drift`: random streams folded again from the log and held against the live rows. */
export function addDrift(program: Command): void {
  program
    .command('drift')
    .description('folds random streams from the log and compares them with the live rows; changes nothing')
    .argument('[projection...]', 'read models', projectionArgument)
    .option('--all', 'every read model')
    .option('--streams <n>', `streams of each (default: ${streamsStandard})`, positiveInteger)
    .option('--json')
    .action(checkChosen)
}
