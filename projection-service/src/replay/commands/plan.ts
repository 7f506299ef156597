import type { Projection } from '../../engine/definition/projection'
import { isOpen } from '../rebuild/rebuild-history'
import { reportLine } from '../reporting/report'
import { statusOf } from '../rebuild/status'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { counted, grouped } from '../reporting/words'

/** `--dry-run`: what a rebuild would do; changes nothing. */
export async function plan(chosen: readonly Projection[], json?: true): Promise<void> {
  const { head, projections } = await withSystem(chosen.length, async ({ pool, log }) => {
    const found = []
    for (const projection of chosen) {
      const { liveVersion, empty, rows, rebuild: last, previousVersion } = await statusOf(pool, projection)
      found.push({
        projection: projection.name,
        version: projection.version,
        liveVersion: liveVersion ?? null,
        rows,
        comparedBy: !empty && liveVersion === projection.version ? ('rows' as const) : ('sample' as const),
        goesOnAfter: last && isOpen(last) && last.version === projection.version ? last.events : null,
        dropsPrevious: previousVersion ?? null,
        firstBuild: empty,
      })
    }
    return { head: await log.head(), projections: found }
  })
  if (json) {
    return void process.stdout.write(
      reportLine({ event: 'plan', head: head === undefined ? null : String(head), projections }),
    )
  }
  print(`log ends at position ${head ?? 'none: it is empty'}`)
  for (const {
    projection,
    version,
    liveVersion,
    firstBuild,
    rows,
    comparedBy,
    goesOnAfter,
    dropsPrevious,
  } of projections) {
    const compared = comparedBy === 'rows' ? 'row by row' : 'by a recount and a sample of streams'
    const lines = [
      `would be rebuilt at version ${version}`,
      firstBuild
        ? 'first build: compared with a recount and a sample only'
        : `live: version ${liveVersion}, ${grouped(rows)} rows, compared ${compared}`,
      ...(goesOnAfter === null ? [] : [`continues after ${counted(goesOnAfter, 'event')}`]),
      ...(dropsPrevious === null ? [] : [`drops the previous generation, version ${dropsPrevious}`]),
    ]
    for (const [i, line] of lines.entries()) print(`${(i === 0 ? projection : '').padEnd(16)} ${line}`)
  }
  print('nothing was changed')
}
