import type { Command } from 'commander'
import type { Projection } from '../../engine/definition/projection'
import { excludingRebuilds } from '../rebuild/rebuild'
import { abortRebuild } from '../rebuild/rebuild-state'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { projectionArgument } from './arguments'

/** `replay abort`: gives an unfinished rebuild up. */
export function addAbort(program: Command): void {
  program
    .command('abort')
    .description('ends an unfinished rebuild and drops its shadow')
    .argument('<projection>', 'read model', projectionArgument)
    .action(([projection]: Projection[]) =>
      withSystem(1, async ({ pool }) => {
        const there = await excludingRebuilds(pool, [projection!], () =>
          abortRebuild(pool, projection!.name, 'by the operator'),
        )
        print(there ? `${projection!.name}: aborted` : `${projection!.name}: there is no unfinished rebuild`)
      }),
    )
}
