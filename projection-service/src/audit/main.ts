import { Command, CommanderError } from 'commander'
import { useEnvironment } from '../replay/environment'
import { exitCodeOf, exitCodes } from '../replay/exit-code'
import { explanationOf, failedLine } from '../replay/reporting/explanation'
import { addVerify } from './verify'

const exitCodeHelp = `Exit codes
  0    every entry is what the log says
  1    fault: a server does not answer; nothing was found out
  2    wrong call or configuration, or not possible in this state
  3    entries were changed, taken out, put in or cut off; the first are named
  130  interrupted`

async function main(): Promise<void> {
  useEnvironment(process.env)
  try {
    const cli = new Command('audit')
      .description('Proves the audit trail: each entry beside the fact in the log that it stands for.')
      .exitOverride()
      .showHelpAfterError()
    addVerify(cli)
    await cli.addHelpText('after', `\n${exitCodeHelp}`).parseAsync()
  } catch (error) {
    const exitCode = exitCodeOf(error)
    if (exitCode !== exitCodes.done && process.argv.includes('--json')) process.stdout.write(failedLine(error))
    // Commander has told its own already.
    if (!(error instanceof CommanderError)) process.stderr.write(explanationOf(error))
    process.exitCode = exitCode
  }
}

void main()
