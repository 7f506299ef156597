import './give-way'
import { Command, CommanderError } from 'commander'
import { addAbort } from './commands/abort'
import { addDrift } from './commands/drift'
import { addDiff } from './commands/diff'
import { addDropPrevious } from './commands/drop-previous'
import { addHistory } from './commands/history'
import { addParked } from './commands/parked'
import { addRebuild } from './commands/rebuild'
import { addRefold } from './commands/refold'
import { addRollback } from './commands/rollback'
import { addSnapshots } from './commands/snapshots'
import { addStatus } from './commands/status'
import { exitCodeHelp, exitCodeOf, exitCodes } from './exit-code'
import { explanationOf, failedLine } from './reporting/explanation'
import { useEnvironment } from './environment'

function program(): Command {
  const cli = new Command('replay')
    .description('Rebuilds read models from the log, beside the live ones, proves them equal, and swaps them in.')
    .exitOverride()
    .showHelpAfterError()
    // Without `[options]`, which all but few have, descriptions keep enough room in 80 columns to be wrapped.
    .configureHelp({
      subcommandTerm: (command) => `${command.name()} ${command.usage().replace('[options]', '').trim()}`,
    })
  addRebuild(cli)
  addStatus(cli)
  addHistory(cli)
  addAbort(cli)
  addRollback(cli)
  addDropPrevious(cli)
  addParked(cli)
  addRefold(cli)
  addDrift(cli)
  addDiff(cli)
  addSnapshots(cli)
  return cli.addHelpText('after', `\n${exitCodeHelp}`)
}

/**
 * The reader of the output may stop reading (`replay history | head -1`). Later output is lost. The work continues to
 * its end, with its own exit code. A rebuild is not ended by it.
 */
function outliveReaders(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error
    })
  }
}

async function main(): Promise<void> {
  outliveReaders()
  useEnvironment(process.env)
  try {
    await program().parseAsync()
  } catch (error) {
    const exitCode = exitCodeOf(error)
    if (exitCode !== exitCodes.done && process.argv.includes('--json')) process.stdout.write(failedLine(error))
    // Commander has told its own already.
    if (!(error instanceof CommanderError)) process.stderr.write(explanationOf(error))
    process.exitCode = exitCode
  }
}

void main()
