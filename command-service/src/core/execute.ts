import { setTimeout as delay } from 'node:timers/promises'
import {
  decodeAll,
  encodeEvent,
  eventDefinitions,
  type EnvelopeInput,
  type EventType,
  type NewEvent,
  type OpenAll,
} from '@annals/contracts'
import { backoffMs } from '@annals/platform/backoff'
import { appendErrorKind, StreamDeleted, type Appended, type EventLog, type LogEvent } from '@annals/platform/event-log'
import { derivedId } from '@annals/platform/ids'
import { currentTraceparent } from '@annals/platform/tracing'
import type { Decider, Decision, Past } from './decider'
import type { KeyWriter, Needs, Sealers } from './key-writer'
import type { CommandContext } from './command-context'
import {
  ConcurrentChange,
  DependencyUnavailable,
  IdempotencyKeyReused,
  PersonalDataLocked,
  RevisionMismatch,
  UnreadableStream,
} from './faults'

/** A change of a stream's state that is about to be recorded. */
export interface Change {
  category: string
  stream: string
  before: unknown
  after: unknown
}

/** Told of every change, by whichever command: for what must not be forgotten by any. */
export interface ChangeWatch {
  /**
   * Called before the append. Must not fail.
   * @returns called after the append, with the revision that it brought; `undefined`: another writer was faster, nothing was
   *   appended. Not called when the log did not answer. Must not fail. Nothing is returned for a change of no interest.
   */
  begin(change: Change): Promise<((revision: number | undefined) => Promise<void>) | undefined>
}

export interface ExecuteDeps {
  log: EventLog
  keys: Pick<KeyWriter, 'sealFor' | 'openAll' | 'openSecrets'>
  tenant: string
  observe: {
    /** Seconds that an append took, answered or not. */
    append(seconds: number): void
    conflict(category: string): void
  }
  watch?: ChangeWatch
}

/** A stream as far as it has been read. */
export interface Known<State> {
  state: State
  /** Of the last event; -1 when there is none. */
  revision: number
  /** Log position of the last event; -1 when there is none. */
  position: bigint
}

export interface Task<State, T extends EventType> {
  stream: string
  context: CommandContext
  decide: Decision<State, T>
  /** What the caller knows of the stream already: nothing is read unless another writer was faster. */
  known?: Known<State>
  /** Revision that the client saw; another one is refused and not retried, unless the decision itself refuses. */
  ifMatch?: number | undefined
}

export interface Outcome<State> extends Known<State> {
  /** The events of this very command were there already; `state` is what it was after them. */
  repeated: boolean
  /** Some events were appended now. */
  appended: boolean
  /** The stream with all that came after; the same as the outcome unless `repeated`. */
  latest: Known<State>
}

/** Loads, folds, decides, appends. */
export interface Execute {
  /**
   * @throws Rejected by the decision; StreamDeleted; PersonalDataLocked; RevisionMismatch; IdempotencyKeyReused; ConcurrentChange after `attemptsMax`
   * conflicts; DependencyUnavailable when nothing was written; UnknownAppendOutcome when that is not known.
   */
  <State, T extends EventType>(decider: Decider<State, T>, task: Task<State, T>): Promise<Outcome<State>>
  load<State, T extends EventType>(decider: Decider<State, T>, stream: string): Promise<Known<State>>
}

/** Conflicts in a row after which a command gives up: the stream is busier than any person's stream should be. */
const attemptsMax = 8
const conflictBackoff = { firstMs: 4, maxMs: 100 }

/** What a stream is before anything happened to it: nothing is read for an aggregate whose id is new. */
export const unborn = <State>(decider: { initial: State }): Known<State> => ({
  state: decider.initial,
  revision: -1,
  position: -1n,
})

/**
 * A stream that is read whole has some ten events at most, by the rules of its decider; a longer one was written by somebody else,
 * and is refused before it is held in memory.
 */
const streamEventsMax = 1_000

type Reading = Pick<Decider<unknown, never>, 'reads' | 'readsPersonal'>

/** For folds that see nothing personal: to them everybody reads as erased. */
const opensNothing: OpenAll = async (parts) => parts.map(() => null)

export function createExecute({ log, keys, tenant, observe, watch }: ExecuteDeps): Execute {
  /** What a fold needs of a stream. Every read has a bound: whatever somebody does to a stream, it costs others nothing. */
  async function recordedOf({ reads }: Reading, stream: string): Promise<LogEvent[]> {
    if (reads === 'first-and-last') {
      const last = await log.lastOf(stream)
      if (!last) return []
      return last.revision === 0 ? [last] : [...(await log.readStream(stream, 0, 1)), last]
    }
    const recorded = await log.readStream(stream, 0, streamEventsMax + 1)
    if (recorded.length <= streamEventsMax) return recorded
    throw new UnreadableStream(
      `${stream} has more than ${streamEventsMax} events: no rule of ours lets it grow so long`,
    )
  }

  async function readEvents(reading: Reading, stream: string) {
    const recorded = await recordedOf(reading, stream).catch((error: unknown) => {
      if (error instanceof StreamDeleted || error instanceof UnreadableStream) throw error
      throw new DependencyUnavailable('event-log', error)
    })
    const decoded = await (reading.readsPersonal
      ? decodeAll(recorded, keys.openAll, keys.openSecrets)
      : decodeAll(recorded, opensNothing))
    return decoded.map((result) => {
      if (result.kind === 'event') return result.event
      if (result.kind === 'invalid' && result.cause)
        throw new PersonalDataLocked(`${stream}: ${result.reason}`, { cause: result.cause })
      const reason = result.kind === 'invalid' ? result.reason : result.kind
      throw new UnreadableStream(`${stream}: ${result.type}: ${reason}`)
    })
  }

  function foldOf<State, T extends EventType>(
    decider: Decider<State, T>,
    events: Awaited<ReturnType<typeof readEvents>>,
  ) {
    const last = events.at(-1)
    return {
      state: events.reduce((state, event) => decider.evolve(state, event as unknown as Past<T>), decider.initial),
      revision: last?.revision ?? -1,
      position: last?.position ?? -1n,
    }
  }

  /** Events as the log takes them: sealed where they are personal, their ids derived. */
  function encode(
    events: readonly NewEvent[],
    { commandId, fingerprint, ...context }: CommandContext,
    { seal, sealSecret }: Sealers,
  ) {
    const traceparent = currentTraceparent()
    const envelope: EnvelopeInput = {
      tenant,
      commandId,
      ...(fingerprint === undefined ? {} : { fingerprint }),
      ...context,
      ...(traceparent ? { traceparent } : {}),
      source: 'command-service',
    }
    // The fingerprint is part of the id: the log answers a repeat of known ids with success, without comparing contents.
    return events.map((event, i) =>
      encodeEvent(event, derivedId(commandId, fingerprint ?? '', i), envelope, seal, sealSecret),
    )
  }

  async function append(stream: string, events: ReturnType<typeof encode>, revision: number) {
    const startedAt = performance.now()
    try {
      return await log.append(stream, events, revision)
    } catch (error) {
      if (appendErrorKind(error) === 'conflict') return undefined
      throw error
    } finally {
      observe.append((performance.now() - startedAt) / 1000)
    }
  }

  const execute = async <State, T extends EventType>(decider: Decider<State, T>, task: Task<State, T>) => {
    const { stream, context, decide, ifMatch } = task
    let known = task.known
    for (let attempt = 1; ; attempt++) {
      if (!known) {
        const events = await readEvents(decider, stream)
        const latest = foldOf(decider, events)
        // A step of it is its own as well: what another command began it may have ended.
        const lastOwn = events.findLastIndex(
          ({ envelope: { commandId, causationId } }) =>
            commandId === context.commandId || causationId === context.commandId,
        )
        if (lastOwn >= 0) {
          const { commandId, fingerprint } = events[lastOwn]!.envelope
          if (commandId === context.commandId && fingerprint !== context.fingerprint)
            throw new IdempotencyKeyReused(stream)
          return { ...foldOf(decider, events.slice(0, lastOwn + 1)), repeated: true, appended: false, latest }
        }
        known = latest
      }
      // Before the revision: to whom a stream is none, its revision is nothing. So has RFC 9110, section 13.2.1: a precondition
      // counts only for what would have been done without it.
      const decided = decide(known.state)
      if (ifMatch !== undefined && known.revision !== ifMatch)
        throw new RevisionMismatch(stream, ifMatch, known.revision)
      if (decided.length === 0) return { ...known, repeated: false, appended: false, latest: known }
      const encoded = encode(decided, context, await keys.sealFor(tenant, needsOf(decided)))
      const past = decided.map((event) => ({ ...event, at: context.occurredAt }) as unknown as Past<T>)
      const state = past.reduce(decider.evolve, known.state)
      const { category } = decider
      const finish = await watch?.begin({ category, stream, before: known.state, after: state })
      const appended = await append(stream, encoded, known.revision)
      await finish?.(appended?.revision)
      if (appended) {
        const { revision, position } = appended.position < 0n ? await placed(stream, appended) : appended
        const after = { state, revision, position }
        return { ...after, repeated: false, appended: true, latest: after }
      }
      observe.conflict(decider.category)
      if (ifMatch !== undefined) throw new RevisionMismatch(stream, ifMatch, undefined)
      if (attempt >= attemptsMax) throw new ConcurrentChange(stream)
      // The first conflict of an unborn stream is mostly a repeat: look at once. Later ones give way to each other.
      if (attempt > 1) await delay(backoffMs(conflictBackoff, attempt, Math.random()))
      known = undefined
    }
  }

  /** A server that recognises a repeat may leave the position out of its answer: then the event itself tells it. */
  async function placed(stream: string, appended: Appended): Promise<Appended> {
    const [event] = await log.readStream(stream, appended.revision)
    return { revision: appended.revision, position: event?.position ?? appended.position }
  }

  return Object.assign(execute, {
    load: async <State, T extends EventType>(decider: Decider<State, T>, stream: string) =>
      foldOf(decider, await readEvents(decider, stream)),
  })
}

/** The keys that events need: those of the subjects of whom something is hidden. */
function needsOf(events: readonly NewEvent[]): Needs {
  const subjects = new Set<string>()
  let hasSecrets = false
  for (const { type, data } of events) {
    const definition: { subject?: string; personal: readonly string[]; secrets: readonly string[] } =
      eventDefinitions[type]
    const { subject, personal, secrets } = definition
    const fields = data as Record<string, unknown>
    const isThere = (field: string) => fields[field] !== null
    if (subject && [...personal, ...secrets].some(isThere)) subjects.add(String(fields[subject]))
    hasSecrets ||= secrets.some(isThere)
  }
  return { subjects: [...subjects], secrets: hasSecrets }
}
