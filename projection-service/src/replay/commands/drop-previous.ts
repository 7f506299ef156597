import type { Command } from 'commander'
import type { Projection } from '../../engine/definition/projection'
import { excludingRebuilds } from '../rebuild/rebuild'
import { dropPrevious } from '../rebuild/swap'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { projectionArgument } from './arguments'

/** `replay drop-previous`: frees what the generation before the last swap occupies. */
export function addDropPrevious(program: Command): void {
  program
    .command('drop-previous')
    .description('drops the former tables, which are kept for rollback')
    .argument('<projection>', 'read model', projectionArgument)
    .action(([projection]: Projection[]) =>
      withSystem(1, async ({ pool }) => {
        await excludingRebuilds(pool, [projection!], () => dropPrevious(pool, projection!))
        print(`${projection!.name}: the former tables are dropped`)
      }),
    )
}
