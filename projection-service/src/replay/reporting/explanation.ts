import { exitCodeOf, exitCodes, exitNameOf } from '../exit-code'
import { NotEqual } from '../rebuild/rebuild'
import type { Verification } from '../rebuild/verify'
import { reportLine } from './report'
import { grouped, wrapped } from './words'

const columns = 80

/** What a person reads of an error on standard error; ends with a line break. */
export function explanationOf(error: unknown): string {
  if (exitCodeOf(error) === exitCodes.interrupted) return 'interrupted; the same call continues from here\n'
  const fault = error instanceof Error ? error.message : String(error)
  if (!(error instanceof NotEqual)) return `${fault.split('\n').map(wrappedLine).join('\n')}\n`
  const found = error.verified.flatMap(({ projection, verification: { equal, differing, differences } }) =>
    equal
      ? []
      : [`${projection}: rebuilt and live differ`, ...countsText(differences), ...differing.map((key) => `  ${key}`)],
  )
  const advice = wrappedLine(
    'Nothing was swapped. `replay status` shows what is parked. Parked events of live make a difference. ' +
      'What to do: docs/runbooks/failed-rebuild.md',
  )
  return `${[...found, advice].join('\n')}\n`
}

const wrappedLine = (line: string) => wrapped(line, columns)

/** `  rows: 2 changed, 1 only live`, and the same of streams; nothing of what does not differ. */
function countsText(differences: Verification['differences']): string[] {
  return Object.entries(differences ?? {}).flatMap(([what, { changed, onlyLive, onlyRebuilt }]) => {
    const counts = { changed, 'only live': onlyLive, 'only rebuilt': onlyRebuilt }
    const told = Object.entries(counts).flatMap(([how, n]) => (n > 0 ? [`${grouped(n)} ${how}`] : []))
    return told.length > 0 ? [`  ${what}: ${told.join(', ')}`] : []
  })
}

/** What a program reads of it: the last line of `--json`. */
export function failedLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const verified =
    error instanceof NotEqual
      ? error.verified.map(({ projection, verification: { equal, differing, differences } }) => ({
          projection,
          equal,
          differing,
          differences,
        }))
      : undefined
  return reportLine({ event: 'failed', code: exitNameOf(error), exitCode: exitCodeOf(error), message, verified })
}
