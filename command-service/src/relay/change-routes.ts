import { randomUUID } from 'node:crypto'
import type { CheckpointedPublisher, Topics } from '@annals/platform/kafka'
import type { Logger } from '@annals/platform/log'
import { checkpointText, readCheckpoint, type RelayCheckpoint, type TopicPlace } from './checkpoint'
import { startsOf } from './division'
import { checkpointLost, RelayRefusal } from './refusals'
import { checkpointTopic, partName, routesText, type Route } from './route'

export interface RouteChange {
  /** The relay of all topics. */
  whole: Route
  /** Of `divide`: what its work is divided into from now on; the whole alone: it is not. */
  routes: readonly Route[]
  publisherOf: (name: string) => CheckpointedPublisher
  topics: Pick<Topics, 'ensure' | 'states'>
  replicationFactor: number
  log: Logger
}

/**
 * Divides the work of publishing otherwise. Whoever publishes by the former division is fenced, and its checkpoint closed, before the
 * new one counts, which is one transaction under the main relay's name, with a checkpoint for each route. Ended at any point it can be done again: until that
 * transaction the former division holds, and what is closed already waits for it.
 *
 * @returns false: the work is divided like this already.
 * @throws RelayRefusal; Fenced when another one does the same; any other: do it again.
 */
export async function changeRoutes({ whole, routes, publisherOf, ...rest }: RouteChange): Promise<boolean> {
  const { topics, replicationFactor, log } = rest
  const wanted = routes[0]?.part?.routes
  await topics.ensure([{ topic: checkpointTopic, partitions: 1 }], replicationFactor)
  const publisher = publisherOf(whole.name)
  try {
    // A healthy relay is not fenced for nothing.
    if (await isDivided(checkpointOf(await publisher.committed()), wanted ?? [], whole, publisherOf)) return false
    const committed = await publisher.takeOver()
    if (committed?.metadata === '')
      throw new RelayRefusal(
        'The checkpoint is of a former release, which says nothing about topics. Start a relay of this release once without ' +
          'RELAY_ROUTES, and change the routes then.',
      )
    const present = checkpointOf(committed) ?? (await firstOf(whole, topics))
    const closed = present.routes ? await closeAll(present, whole, publisherOf) : []
    const { routes: _, division: __, ...start } = present.routes ? together(present, closed) : present
    const next: RelayCheckpoint = wanted ? { ...start, routes: wanted, division: randomUUID() } : start
    await publisher.publish([], next.position, () => checkpointText(next), startsOf(whole, next))
    log.info({ routes: routesText(wanted ?? []), after: String(next.position) }, 'the routes were changed')
    return true
  } finally {
    await publisher.close()
  }
}

const checkpointOf = (committed: Parameters<typeof readCheckpoint>[0] | undefined) =>
  committed && readCheckpoint(committed)

/** Whether the work is divided like this, and no change of it was left unfinished. */
async function isDivided(
  present: RelayCheckpoint | undefined,
  wanted: readonly (readonly string[])[],
  whole: Route,
  publisherOf: RouteChange['publisherOf'],
): Promise<boolean> {
  const { routes = [], division } = present ?? {}
  if (routesText(routes) !== routesText(wanted)) return false
  for (const topics of routes) {
    const own = checkpointOf(await publisherOf(partName(whole, topics)).committed())
    if (own?.division === division && own?.isClosed) return false
  }
  return true
}

/** Nothing was published yet. @throws RelayRefusal when that is not so, and only the checkpoint is missing. */
async function firstOf(whole: Route, topics: Pick<Topics, 'states'>): Promise<RelayCheckpoint> {
  const names = whole.topics.map(({ topic }) => topic)
  const used = [...(await topics.states(names))].flatMap(([topic, { partitions }]) =>
    partitions.some(({ high }) => high > 0n) ? [topic] : [],
  )
  if (used.length > 0) throw checkpointLost(whole.name, used)
  return { position: -1n, topics: new Map(), isBare: false }
}

/**
 * Fences each route's relay, and lets it find that its checkpoint moves no more.
 * @returns where they stand.
 * @throws RelayRefusal when a checkpoint is missing: the route's relay has to be told first where it stands.
 */
async function closeAll(
  present: RelayCheckpoint,
  whole: Route,
  publisherOf: RouteChange['publisherOf'],
): Promise<RelayCheckpoint[]> {
  const closed: RelayCheckpoint[] = []
  for (const topics of present.routes ?? []) {
    const publisher = publisherOf(partName(whole, topics))
    try {
      const last = checkpointOf(await publisher.takeOver())
      if (!last || last.division !== present.division) throw checkpointLost(partName(whole, topics), topics)
      const text = checkpointText({ ...last, isClosed: true })
      // Under its own name: a relay that has taken it over meanwhile makes this fail.
      await publisher.publish([], last.position, () => text)
      closed.push(last)
    } finally {
      await publisher.close()
    }
  }
  return closed
}

/** One checkpoint of all: at the place of the route that came furthest, with how far each topic of the others is. */
function together(present: RelayCheckpoint, closed: readonly RelayCheckpoint[]): RelayCheckpoint {
  const furthest = closed.reduce((most, one) => (one.position > most.position ? one : most))
  const topics = new Map<string, TopicPlace>(present.topics)
  for (const { topics: places, position } of closed)
    for (const [topic, place] of places) {
      const after = place.after ?? (position < furthest.position ? position : undefined)
      topics.set(topic, after === undefined ? { id: place.id, ends: place.ends } : { ...place, after })
    }
  const { position, log, event } = furthest
  return { position, log: log ?? present.log, event, topics, isBare: false }
}
