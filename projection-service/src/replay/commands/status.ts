import type { Command } from 'commander'
import { projections } from '../../projections'
import { isOpen, type RebuildRecord } from '../rebuild/rebuild-history'
import { statusOf, type Status } from '../rebuild/status'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { grouped, minute, verifiedText, within } from '../reporting/words'

const lastText = (last: RebuildRecord | undefined) =>
  last ? `${minute(last.updatedAt).slice(5)} ${last.outcome}` : '-'

/** What to do about a rebuild that nobody works on. */
function tellUnfinished({
  projection,
  outcome,
  purpose,
  stage,
  events,
  runs,
  failures,
  actor,
  reason,
}: RebuildRecord): void {
  const by = actor ? `, by ${actor}` : ''
  const runsText = runs > 1 ? `, ${runs} runs, ${failures} failed` : ''
  print(within(`${projection} ${outcome} while ${stage}, after ${grouped(events)} events${runsText}${by}`, 80))
  if (reason) print(within(`  ${reason}`, 80))
  const same = purpose === 'verify' ? `${projection} --verify-only` : projection
  print(`  go on: \`replay ${same}\`; give it up: \`replay abort ${projection}\``)
}

async function status({ json }: { json?: true }): Promise<void> {
  const found = await withSystem(1, async ({ pool }) => {
    const all: Status[] = []
    for (const projection of projections) all.push(await statusOf(pool, projection))
    return all
  })
  if (json) return print(JSON.stringify(found))
  print('projection       live  new  prev         rows  parked  last rebuild (UTC)')
  for (const { projection, liveVersion, version, previousVersion, rows, parkedStreams, rebuild } of found) {
    const cells = [
      projection.padEnd(16),
      String(liveVersion ?? '-').padStart(4),
      String(liveVersion === version ? '-' : version).padStart(4),
      String(previousVersion ?? '-').padStart(5),
      grouped(rows).padStart(12),
      grouped(parkedStreams).padStart(7),
      ` ${lastText(rebuild)}`,
    ]
    print(cells.join(' '))
  }
  for (const { projection, rebuild } of found) {
    if (rebuild?.verified && !isOpen(rebuild)) print(`${projection.padEnd(16)} ${verifiedText(rebuild.verified)}`)
  }
  for (const { rebuild } of found) {
    if (rebuild && isOpen(rebuild) && rebuild.outcome !== 'running') tellUnfinished(rebuild)
  }
}

/** `replay status`: how every read model stands. */
export function addStatus(program: Command): void {
  program
    .command('status')
    .description('versions, rows, parked streams, rebuilds')
    .option('--json', 'as one JSON document')
    .action(status)
}
