import { environment } from '../environment'
import { createProgress } from './progress'
import { createLines, type Reporter } from './reporter'

/** One line on standard output. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** Tells what a call does: lines of JSON when asked for, else text for the terminal or the file that is there. */
export function reporter(json: boolean | undefined): Reporter {
  const output = process.stdout
  const write = (text: string) => void output.write(text)
  if (json) return createLines(write)
  // A dumb terminal can not paint over a line. Nothing is coloured anywhere, so `NO_COLOR` asks for what is.
  const isTTY = output.isTTY && environment()['TERM'] !== 'dumb'
  return createProgress({
    isTTY,
    get columns() {
      return output.columns
    },
    write,
  })
}
