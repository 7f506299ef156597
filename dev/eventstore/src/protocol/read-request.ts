import type { ReadReq } from '@eventstore/db-client/generated/streams_pb'
import { eventFilter } from '../rules/event-filter'
import type { EventFilter, FilterExpression } from '../rules/event-filter'
import { invalidArgument } from './errors'

export type Direction = 'forwards' | 'backwards'

/** A place to begin at: a revision of a stream or a position in $all, as far as a JavaScript number is exact. */
export type Start = 'start' | 'end' | number

export interface ReadTarget {
  /** undefined for $all */
  stream: string | undefined
  start: Start
  filter: EventFilter | undefined
}

export interface CountedRead extends ReadTarget {
  kind: 'read'
  direction: Direction
  /** At most so many events. */
  count: number
}

export interface SubscriptionRequest extends ReadTarget {
  kind: 'subscription'
  /** Events to consider from one checkpoint to the next; undefined without a filter, as on EventStoreDB. */
  checkpointInterval: number | undefined
}

/** In which form events are wanted. */
interface EventForm {
  resolveLinks: boolean
  /** Ids as two 64-bit halves instead of text. */
  structuredIds: boolean
}

export type ReadRequest = (CountedRead | SubscriptionRequest) & EventForm

/** EventStoreDB's search window when the client names none. */
const SEARCH_WINDOW_DEFAULT = 32

/** @throws ServiceError INVALID_ARGUMENT naming what is missing or cannot be understood */
export function parseReadRequest(request: ReadReq): ReadRequest {
  const options = request.getOptions()
  if (!options) throw invalidArgument('options are missing')
  const stream = options.getStream()
  const all = options.getAll()
  const form = {
    resolveLinks: options.getResolveLinks(),
    structuredIds: options.getUuidOption()?.hasStructured() ?? false,
  }
  let target: ReadTarget
  if (stream) {
    const name = Buffer.from(stream.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString('utf8')
    if (name === '') throw invalidArgument('stream name is missing')
    const start = stream.hasStart() ? 'start' : stream.hasEnd() ? 'end' : exact(stream.getRevision())
    target = { stream: name, start, filter: undefined }
  } else if (all) {
    const position = all.getPosition()
    if (position && BigInt(position.getCommitPosition()) < BigInt(position.getPreparePosition()))
      throw invalidArgument('the commit position can not be less than the prepare position')
    const start = position ? exact(position.getCommitPosition()) : all.hasEnd() ? 'end' : 'start'
    target = { stream: undefined, start, filter: parseFilter(options.getFilter()) }
  } else throw invalidArgument('neither a stream nor $all is named')

  if (options.hasSubscription())
    return {
      kind: 'subscription',
      ...target,
      checkpointInterval: checkpointInterval(options.getFilter()),
      ...form,
    }
  const direction = options.getReadDirection() === 0 ? 'forwards' : 'backwards'
  return { kind: 'read', ...target, direction, count: Number(options.getCount()), ...form }
}

/** Beyond what a number holds exactly there is no event, so the largest stands for all of them. */
const exact = (decimal: string): number => Math.min(Number(decimal), Number.MAX_SAFE_INTEGER)

function parseFilter(options: ReadReq.Options.FilterOptions | undefined): EventFilter | undefined {
  if (!options) return undefined
  const byStream = options.getStreamIdentifier()
  const expression = byStream ?? options.getEventType()
  if (!expression) throw invalidArgument('filter names neither streams nor event types')
  const prefixes = expression.getPrefixList()
  const wanted: FilterExpression = prefixes.length > 0 ? { prefixes } : { regex: expression.getRegex() }
  try {
    return eventFilter(byStream ? 'stream' : 'type', wanted)
  } catch (error) {
    throw invalidArgument((error as Error).message)
  }
}

function checkpointInterval(options: ReadReq.Options.FilterOptions | undefined): number | undefined {
  if (!options) return undefined
  const multiplier = options.getCheckpointintervalmultiplier()
  if (multiplier === 0) throw invalidArgument('checkpoint interval has to be positive')
  return multiplier * (options.getMax() || SEARCH_WINDOW_DEFAULT)
}
