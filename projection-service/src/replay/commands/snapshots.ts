import type { Command } from 'commander'
import type { Snapshot } from '../../engine/tables/generation'
import { projections } from '../../projections'
import { dropSnapshots, listSnapshots } from '../snapshots/as-of'
import { counted } from '../reporting/words'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { labelArgument } from './arguments'

async function list({ json }: { json?: true }): Promise<void> {
  const found = await withSystem(1, ({ pool }) => listSnapshots(pool, projections))
  if (json) return print(JSON.stringify(found))
  if (found.length === 0) return print('there are none')
  for (const { projection, label, what, version, events } of found)
    print(`${label.padEnd(15)} ${projection.padEnd(15)} version ${version}, ${counted(events, 'event')}\n  ${what}`)
}

async function drop(snapshot: Snapshot): Promise<void> {
  await withSystem(1, async ({ pool }) => {
    for (const schema of await dropSnapshots(pool, projections, snapshot)) print(`${schema} is gone`)
  })
}

/** `replay snapshots` and `replay snapshot drop`: what was folded beside the live read models. */
export function addSnapshots(program: Command): void {
  program
    .command('snapshots')
    .description('lists snapshots: former times and parts of the log, folded beside the live read models')
    .option('--json', 'as one JSON document')
    .action(list)
  program
    .command('snapshot')
    .description('commands for one snapshot')
    .command('drop')
    .description('drops the snapshots with a label, of every read model')
    .argument('<label>', 'name of the snapshot', labelArgument)
    .action(drop)
}
