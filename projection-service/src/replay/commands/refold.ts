import type { Command } from 'commander'
import { refoldStream } from '../../drift/refold'
import type { Projection } from '../../engine/definition/projection'
import { counted } from '../reporting/words'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { operator, projectionArgument } from './arguments'
import { asOption } from './parked'

async function refold([projection]: Projection[], stream: string, { as }: { as?: string }): Promise<void> {
  await withSystem(1, async (system) => {
    const actor = as ?? operator()
    const { events, mended, removed, parked } = await refoldStream(projection!, stream, { ...system, actor })
    print(`${projection!.name} ${stream}:\n  folded again from ${counted(events, 'event')}`)
    for (const { key, columns } of mended) print(`  corrected ${key}: ${columns.join(', ')}`)
    if (removed > 0) print(`  ${counted(removed, 'row')} removed that no event makes`)
    if (parked > 0) print(`  parked or waiting, ${counted(parked, 'event')}: \`replay parked show ${stream}\``)
    if (mended.length === 0 && removed === 0) print('  nothing was wrong')
  })
}

/** `replay refold`: makes the rows of one stream again from the log. */
export function addRefold(program: Command): void {
  program
    .command('refold')
    .description(
      'corrects the rows of one stream from the log, in place (where many streams share a row, rebuild instead)',
    )
    .argument('<projection>', 'read model', projectionArgument)
    .argument('<stream>', 'stream, such as payment-<uuid>')
    .option(...asOption)
    .action(refold)
}
