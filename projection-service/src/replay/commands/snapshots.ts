import type { Command } from 'commander'
import type { Side } from '../../engine/tables/generation'
import { projections } from '../../projections'
import { dropSides, listSides } from '../snapshots/as-of'
import { counted } from '../reporting/words'
import { print, withSystem } from '../system'
import { labelArgument } from './arguments'

async function list({ json }: { json?: true }): Promise<void> {
  const found = await withSystem(1, ({ pool }) => listSides(pool, projections))
  if (json) return print(JSON.stringify(found))
  if (found.length === 0) return print('there are none')
  for (const { projection, label, what, version, events } of found)
    print(`${label.padEnd(15)} ${projection.padEnd(15)} version ${version}, ${counted(events, 'event')}\n  ${what}`)
}

async function drop(side: Side): Promise<void> {
  await withSystem(1, async ({ pool }) => {
    for (const schema of await dropSides(pool, projections, side)) print(`${schema} is gone`)
  })
}

/** `replay sides` and `replay drop-side`: what was folded beside the live read models. */
export function addSides(program: Command): void {
  program
    .command('sides')
    .description('what was folded into sides, by label')
    .option('--json', 'as one JSON document')
    .action(list)
  program
    .command('drop-side')
    .description('drops the sides with a label')
    .argument('<label>', 'name of the side', labelArgument)
    .action(drop)
}
