import type { Command } from 'commander'
import type { Projection } from '../../engine/definition/projection'
import { excludingRebuilds } from '../rebuild/rebuild'
import { rollBack } from '../rebuild/swap'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { projectionArgument } from './arguments'

/** `replay rollback`: the generation before the last swap serves again. */
export function addRollback(program: Command): void {
  program
    .command('rollback')
    .description('makes the former tables live again')
    .argument('<projection>', 'read model', projectionArgument)
    .action(([projection]: Projection[]) =>
      withSystem(1, async ({ pool }) => {
        const version = await excludingRebuilds(pool, [projection!], () => rollBack(pool, projection!))
        print(`${projection!.name}: version ${version} is live again, and catches up from its own position`)
      }),
    )
}
