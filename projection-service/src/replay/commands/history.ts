import type { Command } from 'commander'
import type { Projection } from '../../engine/definition/projection'
import { rebuildHistory, type RebuildRecord } from '../rebuild/rebuild-history'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { limitArgument, projectionArgument } from './arguments'
import { duration, grouped, minute, verifiedText, within } from '../reporting/words'

/** Rebuilds told of unless more are asked for: a screen. */
const limitStandard = 20

function tell(record: RebuildRecord): void {
  const { projection, version, events, workedSeconds, perSecond, outcome, runs, failures, actor, reason } = record
  const cells = [
    minute(record.startedAt),
    ` ${projection.padEnd(15)}`,
    String(version).padStart(3),
    duration(workedSeconds).padStart(7),
    grouped(events).padStart(12),
    (perSecond === null ? '-' : grouped(perSecond)).padStart(9),
    ` ${outcome}`,
  ]
  print(cells.join(' '))
  const facts = [
    ...(actor ? [`by ${actor}`] : []),
    ...(runs > 1 ? [`${runs} runs, ${failures} failed`] : []),
    ...(reason ? [reason] : []),
  ]
  if (facts.length > 0) print(within(`  ${facts.join('; ')}`, 80))
  if (record.verified) print(`  ${verifiedText(record.verified)}`)
}

async function history(
  named: Projection[] | undefined,
  { json, limit }: { json?: true; limit?: number },
): Promise<void> {
  const asked = { projection: named?.[0]?.name, limit: limit ?? limitStandard }
  const found = await withSystem(1, ({ pool }) => rebuildHistory(pool, asked))
  if (json) return print(JSON.stringify(found))
  if (found.length === 0) return print('nothing was ever rebuilt')
  print('began (UTC)       projection        v    took       events  events/s  outcome')
  found.forEach(tell)
}

/** `replay history`: every rebuild that was ever begun. */
export function addHistory(program: Command): void {
  program
    .command('history')
    .description('all rebuilds, newest first')
    .argument('[projection]', 'read model', projectionArgument)
    .option('--limit <n>', `how many at most (default: ${limitStandard})`, limitArgument)
    .option('--json', 'as one JSON document, reasons in full')
    .action(history)
}
