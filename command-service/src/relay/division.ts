import type { CommittedPosition, OtherPosition } from '@annals/platform/kafka'
import { checkpointText, readCheckpoint, type RelayCheckpoint } from './checkpoint'
import { changeUnfinished, routesDiffer } from './refusals'
import { partName, routesText, type Route } from './route'

/** Where each route begins: at the place of the whole, with the topics that it has. */
export function startsOf(whole: Route, { routes = [], ...checkpoint }: RelayCheckpoint): OtherPosition[] {
  return routes.map((topics) => {
    const places = [...checkpoint.topics].filter(([topic]) => topics.includes(topic))
    const start = { ...checkpoint, topics: new Map(places) }
    return { groupId: partName(whole, topics), position: start.position, metadata: checkpointText(start) }
  })
}

/** What a relay goes on from, by its route. */
export interface GoingOn {
  /** Its own checkpoint; `undefined`: there is none. */
  committed: CommittedPosition | undefined
  /** Of a part: the division of the work, which its checkpoint has to carry. */
  division?: string | undefined
  /** Of a part: the main relay's checkpoint, which is this one as long as this part is not fenced. */
  whole?: OtherPosition
}

/**
 * @param own what the route's group has committed.
 * @param whole of a part: what the main relay's group has committed.
 * @throws RelayRefusal when the work is divided otherwise than this relay is set to.
 */
export function goesOnFrom(
  { part }: Pick<Route, 'part'>,
  own: CommittedPosition | undefined,
  whole: CommittedPosition | undefined,
): GoingOn {
  const mine = own && readCheckpoint(own)
  if (!part) {
    if (mine?.routes) throw routesDiffer(routesText(mine.routes), '')
    return { committed: own }
  }
  const main = whole && readCheckpoint(whole)
  const [is, wanted] = [routesText(main?.routes ?? []), routesText(part.routes)]
  if (!main || is !== wanted) throw routesDiffer(is, wanted)
  const { division } = main
  // The division began with a checkpoint for each route: what has none of it was lost, or set back.
  const isPresent = mine !== undefined && mine.division === division
  if (isPresent && mine.isClosed) throw changeUnfinished()
  return { committed: isPresent ? own : undefined, division, whole: { ...whole!, groupId: part.of.name } }
}
