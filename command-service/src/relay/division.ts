import type { CommittedPosition } from '@annals/platform/kafka'
import { checkpointText, readCheckpoint, type RelayCheckpoint } from './checkpoint'
import { changeUnfinished, routesDiffer } from './refusals'
import { routesText, type Route } from './route'

/** Where a route begins: at the place of the whole, with the topics that it has. */
export function startOf(whole: RelayCheckpoint, topics: readonly string[]): RelayCheckpoint {
  const { position, log, event, division } = whole
  const places = [...whole.topics].filter(([topic]) => topics.includes(topic))
  return { position, log, event, division, topics: new Map(places), isBare: false }
}

/**
 * What a relay goes on from. A route has the checkpoint of its own group from its first transaction in the present division on, and
 * begins at the main relay's, which moves no more as long as the work is divided.
 *
 * @param own what its group has committed.
 * @param whole of a part: what the main relay's group has committed.
 * @throws RelayRefusal when the work is divided otherwise than this relay is set to.
 */
export function goesOnFrom(
  { part, topics }: Route,
  own: CommittedPosition | undefined,
  whole: CommittedPosition | undefined,
): CommittedPosition | undefined {
  const mine = own && readCheckpoint(own)
  if (!part) {
    if (mine?.routes) throw routesDiffer(routesText(mine.routes), '')
    return own
  }
  const main = whole && readCheckpoint(whole)
  const [is, wanted] = [routesText(main?.routes ?? []), routesText(part.routes)]
  if (!main || is !== wanted) throw routesDiffer(is, wanted)
  if (!own || !mine || mine.division !== main.division) {
    const start = startOf(
      main,
      topics.map(({ topic }) => topic),
    )
    return { position: start.position, metadata: checkpointText(start) }
  }
  if (mine.isClosed) throw changeUnfinished()
  return own
}
