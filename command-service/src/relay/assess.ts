import type { EventLog, LogEvent } from '@annals/platform/event-log'
import type { CheckpointedPublisher, CommittedPosition, TopicState, Topics } from '@annals/platform/kafka'
import { endsOf, isSameTopic, readCheckpoint, type RelayCheckpoint, type TopicPlace } from './checkpoint'
import {
  checkpointLost,
  HandedOver,
  logChanged,
  notInTheLog,
  notOverruled,
  topicLost,
  topicsInTheWay,
  topicUnknown,
} from './refusals'
import { fillerName, type Route, type RoutedTopic } from './route'

/** What an operator has said to do about a refusal. */
export interface Wishes {
  /** The checkpoint was lost, or its event was deleted: where publishing stopped. */
  resumeAfter?: bigint | undefined
  /** Topics to fill from the log. */
  refill: readonly string[]
  /** The log is another one, and is taken as it is. */
  acceptLog: boolean
  /** What is left in topics that are filled anew is deleted. */
  deleteTopics: boolean
}

export const noWishes: Wishes = { refill: [], acceptLog: false, deleteTopics: false }

/** What publishing depends on, to be looked at only. */
export interface World {
  route: Route
  eventLog: Pick<EventLog, 'eventAt' | 'identity' | 'head' | 'readAll'>
  topics: Pick<Topics, 'states'>
  /** The checkpoint of a relay of another name: of one that fills a topic, or of the main one. */
  publisherOf: (name: string) => Pick<CheckpointedPublisher, 'committed'>
  signal: AbortSignal
  /** The division of the work that the route is of: where there is no checkpoint, the next one has to carry it. */
  division?: string | undefined
}

/** How publishing goes on, and what has to be done before. */
export interface Beginning {
  /** With the topics that go on as they are. */
  checkpoint: RelayCheckpoint
  /** Topics to delete. */
  remove: string[]
  /** Topics to make where they are missing, and to begin in: with what they stand at, where it is not the checkpoint's position. */
  enter: Map<string, { after?: bigint }>
  /** Topics that another relay has filled: how far it came. */
  takeOver: Map<string, RelayCheckpoint>
  states: Map<string, TopicState>
}

const isEmpty = (state: TopicState | undefined) => !state || state.partitions.every(({ low, high }) => low === high)
/** Has records, or had some: one that was never used has no reason to be missed. */
const isUsed = (state: TopicState | undefined) => state?.partitions.some(({ high }) => high > 0n) ?? false

/**
 * Holds what was committed against the log and the topics as they are now. Only looks.
 * @param committed the relay's checkpoint; `undefined`: there is none.
 * @throws RelayRefusal when publishing would lose or double facts without an operator's word; HandedOver
 */
export async function assess(
  committed: CommittedPosition | undefined,
  world: World,
  wishes: Wishes,
): Promise<Beginning> {
  const { route, eventLog, topics } = world
  const read = committed && readCheckpoint(committed)
  if (read?.handedTo !== undefined)
    throw new HandedOver(
      `${route.topics.map(({ topic }) => topic).join(', ')} is published by ${read.handedTo} from now on`,
    )
  // Checkpoints before topics: while they are read records come, and a topic must not look shorter than it is.
  const fillers = await fillersOf(read, world)
  const [states, identity] = await Promise.all([
    topics.states(route.topics.map(({ topic }) => topic)),
    eventLog.identity(),
  ])
  assertAsFilled(fillers, states, wishes)
  const start = read ?? startWithout(states, fillers, world, wishes)
  const compared = await compareLog(start, identity, world, wishes)
  if (compared === 'accepted') return anew(states, identity, start, route, wishes)

  const beginning: Beginning = {
    checkpoint: { ...start, log: identity, event: compared?.id, isBare: false },
    remove: [],
    enter: new Map(),
    takeOver: new Map(),
    states,
  }
  const places = new Map(start.topics)
  for (const spec of route.topics) {
    const filler = fillers.get(spec.topic)
    if (filler) beginning.takeOver.set(spec.topic, filler)
    else await placeTopic(spec, start, world, wishes, beginning, places)
  }
  leaveTopics(places, start.position, route)
  return { ...beginning, checkpoint: { ...beginning.checkpoint, topics: places } }
}

/** Without a checkpoint: a first start, or one that was lost, with what the operator knows of it. */
function startWithout(
  states: Map<string, TopicState>,
  fillers: ReadonlyMap<string, RelayCheckpoint>,
  { route, division }: World,
  { resumeAfter, refill, deleteTopics }: Wishes,
): RelayCheckpoint {
  if (resumeAfter !== undefined) return { position: resumeAfter, division, topics: new Map(), isBare: true }
  const used = route.topics.flatMap(({ topic }) => (isUsed(states.get(topic)) && !fillers.has(topic) ? [topic] : []))
  const isAnswered = used.every((topic) => refill.includes(topic) && (deleteTopics || isEmpty(states.get(topic))))
  if (!isAnswered) throw checkpointLost(route.name, used)
  return { position: -1n, division, topics: new Map(), isBare: false }
}

/** Topics that the checkpoint does not name, and that a relay of their own has filled so far. */
async function fillersOf(
  checkpoint: RelayCheckpoint | undefined,
  { route, publisherOf }: World,
): Promise<Map<string, RelayCheckpoint>> {
  const found = new Map<string, RelayCheckpoint>()
  for (const { topic } of route.topics) {
    if (checkpoint?.topics.has(topic)) continue
    const committed = await publisherOf(fillerName(route, topic)).committed()
    if (committed) found.set(topic, readCheckpoint(committed))
  }
  return found
}

/** @throws RelayRefusal when a topic is not the one that its relay has filled. */
function assertAsFilled(
  fillers: Map<string, RelayCheckpoint>,
  states: ReadonlyMap<string, TopicState>,
  { refill, deleteTopics }: Wishes,
): void {
  for (const [topic, filler] of fillers) {
    const place = filler.topics.get(topic)
    const state = states.get(topic)
    if (place && state && isSameTopic(place, state)) continue
    // Filled anew, it owes nothing to that relay; which finds another topic, and refuses.
    if (refill.includes(topic) && (deleteTopics || isEmpty(state))) fillers.delete(topic)
    else throw topicLost(topic, 'does not match the record of the relay that filled it', !isEmpty(state))
  }
}

/**
 * @returns the event at the checkpoint; `undefined` where there is none to compare; `'accepted'`: another log, taken as it is.
 * @throws RelayRefusal
 */
async function compareLog(
  { position, log, event, isBare }: RelayCheckpoint,
  identity: string | undefined,
  { route, eventLog }: World,
  { resumeAfter, acceptLog }: Wishes,
): Promise<LogEvent | 'accepted' | undefined> {
  if (resumeAfter !== undefined && resumeAfter !== position) throw notOverruled(resumeAfter, position)
  if (position < 0n) return undefined
  const found = await eventLog.eventAt(position)
  // The first event may have been scavenged, this one proves more: what was published last is where it was.
  if (found && (isBare ? route.place(found.stream) : found.id === event)) return found
  const head = await eventLog.head()
  // Its event was deleted and scavenged, as an operator has said, now or before.
  const isSaid = !isBare && (resumeAfter !== undefined || event === undefined)
  if (isSaid && !found && (log ?? identity) === identity && head !== undefined && head >= position) return undefined
  if (isBare && resumeAfter !== undefined) throw notInTheLog(resumeAfter, head)
  if (acceptLog) return 'accepted'
  const first = { was: log, is: identity }
  throw logChanged(
    { position, was: event, is: found?.id, head, first },
    route.topics.map(({ topic }) => topic),
  )
}

/** Everything from the start of the log, into empty topics. */
function anew(
  states: Map<string, TopicState>,
  identity: string | undefined,
  { division }: RelayCheckpoint,
  route: Route,
  { deleteTopics }: Wishes,
): Beginning {
  const used = route.topics.flatMap(({ topic }) => (isEmpty(states.get(topic)) ? [] : [topic]))
  if (used.length > 0 && !deleteTopics) throw topicsInTheWay(used)
  return {
    checkpoint: { position: -1n, log: identity, division, topics: new Map(), isBare: false },
    remove: used,
    enter: new Map(route.topics.map(({ topic }) => [topic, {}])),
    takeOver: new Map(),
    states,
  }
}

/** Decides about one topic: it goes on as it is, is begun, or is a reason to refuse. */
async function placeTopic(
  spec: RoutedTopic,
  start: RelayCheckpoint,
  world: World,
  wishes: Wishes,
  { remove, enter, states }: Beginning,
  places: Map<string, TopicPlace>,
): Promise<void> {
  const { topic } = spec
  const state = states.get(topic)
  const known = start.topics.get(topic)
  const fromStart = start.position < 0n ? {} : { after: -1n }
  const fill = (refuse: () => Error) => {
    if (!wishes.refill.includes(topic) || (!isEmpty(state) && !wishes.deleteTopics)) throw refuse()
    if (!isEmpty(state)) remove.push(topic)
    places.delete(topic)
    enter.set(topic, fromStart)
  }

  if (known) {
    if (state && isSameTopic(known, state)) {
      const isEmptied = isUsed(state) && isEmpty(state)
      if (isEmptied && wishes.refill.includes(topic) && known.after === undefined) fill(() => new Error(topic))
      // What it has now is more than what was written down, and the whole of it.
      else places.set(topic, { ...known, ends: endsOf(state) })
      return
    }
    const hadRecords = known.ends.some((end) => end > 0n)
    if (hadRecords || isUsed(state)) return fill(() => topicLost(topic, whatBefell(known, state), !isEmpty(state)))
    // Nothing was published into it: it is made again, and goes on.
    places.delete(topic)
    enter.set(topic, known.after === undefined ? {} : { after: known.after })
    return
  }
  if (!start.isBare) {
    // A category that is new in this release, events of which may be older than the relay's turn to it.
    if (isUsed(state)) return fill(() => topicUnknown(topic))
    enter.set(topic, fromStart)
    return
  }
  if (isUsed(state)) {
    places.set(topic, { id: state!.id, ends: endsOf(state!) })
    return
  }
  if (await hasEventUntil(spec, start.position, world))
    return fill(() =>
      topicLost(topic, state ? 'is empty beside a checkpoint' : 'is missing beside a checkpoint', false),
    )
  enter.set(topic, {})
}

function whatBefell({ id, ends }: TopicPlace, state: TopicState | undefined): string {
  if (!state) return 'is missing'
  if (state.id !== id) return 'was deleted and made anew'
  return `has gone back: it ends at ${endsOf(state).join(', ')}, and ended at ${ends.join(', ')}`
}

/** Whether the log has an event of the topic's category up to a position: for a checkpoint that does not say so itself. */
async function hasEventUntil({ prefix }: RoutedTopic, position: bigint, { eventLog, signal }: World): Promise<boolean> {
  for await (const event of eventLog.readAll({ after: undefined, prefixes: [prefix] })) {
    signal.throwIfAborted()
    return event.position <= position
  }
  return false
}

/** Topics that the route does not name any more stand still from here on: a release that names them again goes on there. */
function leaveTopics(places: Map<string, TopicPlace>, position: bigint, route: Route): void {
  for (const [topic, place] of places)
    if (!route.topics.some((spec) => spec.topic === topic))
      places.set(topic, { ...place, after: place.after ?? position })
}
