import { exitCodeOf, exitCodes, exitNameOf } from '../exit-code'
import { NotEqual } from '../rebuild/rebuild'
import { reportLine } from './report'

/** What a person reads of an error on standard error; ends with a line break. */
export function explanationOf(error: unknown): string {
  if (exitCodeOf(error) === exitCodes.interrupted) return 'interrupted; the same call goes on from here\n'
  const fault = error instanceof Error ? error.message : String(error)
  if (!(error instanceof NotEqual)) return `${fault}\n`
  const found = error.verified.flatMap(({ projection, verification: { equal, differing } }) =>
    equal ? [] : [`${projection}: rebuilt and live differ\n`, ...differing.map((key) => `  ${key}\n`)],
  )
  const parked =
    'Nothing was swapped. `replay status` tells what is parked; parked events of live\nmake a difference.\n'
  return `${found.join('')}${parked}`
}

/** What a program reads of it: the last line of `--json`. */
export function failedLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const verified =
    error instanceof NotEqual
      ? error.verified.map(({ projection, verification: { equal, differing } }) => ({ projection, equal, differing }))
      : undefined
  return reportLine({ event: 'failed', code: exitNameOf(error), exitCode: exitCodeOf(error), message, verified })
}
