import { randomUUID } from 'node:crypto'
import { decideAppend, NO_EVENTS } from '../rules/expected-revision'
import type { ExpectedRevision, StreamFacts } from '../rules/expected-revision'
import {
  isMetastream,
  isSoftDeleted,
  METADATA_TYPE,
  metastreamOf,
  originalOf,
  recreatedMetadata,
  softDeleteMetadata,
} from '../rules/stream-metadata'
import type { EventLog, ProposedEvent, StreamState } from './event-log'

export interface AppendRequest {
  kind: 'append'
  stream: string
  expected: ExpectedRevision
  events: readonly ProposedEvent[]
}

/** Soft delete hides the stream's events until it is written again; a tombstone ends the stream for good. */
export interface DeleteRequest {
  kind: 'soft-delete' | 'tombstone'
  stream: string
  expected: ExpectedRevision
}

export type WriteRequest = AppendRequest | DeleteRequest

export type WriteResult =
  /** `revision` of the last event (`NO_EVENTS` when the stream has none) and its position, undefined when nothing was written. */
  | { kind: 'written'; revision: number; position: number | undefined }
  | { kind: 'wrong-expected-revision'; expected: ExpectedRevision; lastRevision: number }
  | { kind: 'stream-deleted' }

/**
 * One write, inside the transaction of its group. `changed` collects the ids of the streams that got events.
 * @param now server time of the events, ms since 1970
 */
export function write(log: EventLog, request: WriteRequest, now: number, changed: Set<number>): WriteResult {
  const existing = log.find(request.stream)
  const facts = factsOf(log, request.stream, existing)
  // There is nothing to hide in a stream that never was, whatever the client expects of it.
  if (request.kind === 'soft-delete' && !facts.tombstoned && facts.lastRevision === NO_EVENTS && !facts.hasMetadata)
    return { kind: 'wrong-expected-revision', expected: request.expected, lastRevision: NO_EVENTS }
  const events = request.kind === 'append' ? request.events : [deletion()]
  const decision = decideAppend(
    request.expected,
    events.map((event) => event.id),
    facts,
    {
      revisionOfId: (id) => existing && log.revisionOfId(existing, id),
      idAt: (revision) => existing && log.idAt(existing, revision),
    },
  )
  switch (decision.kind) {
    case 'stream-deleted':
      return { kind: 'stream-deleted' }
    case 'wrong-expected-revision':
      return { kind: decision.kind, expected: request.expected, lastRevision: facts.lastRevision }
    case 'repeated': {
      const position = existing && log.positionAt(existing, decision.lastRevision)
      return { kind: 'written', revision: decision.lastRevision, position }
    }
    case 'append':
      if (request.kind === 'append') return append(log, request, facts, now, changed)
      return request.kind === 'tombstone'
        ? bury(log, request.stream, now, changed)
        : softDelete(log, request.stream, now, changed)
  }
}

/** A deletion obeys the rules of an append of one event that was never there. */
const deletion = () => ({ id: randomUUID() as string })

function factsOf(log: EventLog, name: string, state: StreamState | undefined): StreamFacts {
  // A metastream shares the fate of its stream.
  const original = isMetastream(name) ? log.find(originalOf(name)) : undefined
  return {
    lastRevision: state?.lastRevision ?? NO_EVENTS,
    tombstoned: (state?.tombstoned ?? false) || (original?.tombstoned ?? false),
    softDeleted: state !== undefined && isSoftDeleted(state.metadata),
    hasMetadata: state?.hasMetadata ?? false,
  }
}

function append(
  log: EventLog,
  request: AppendRequest,
  facts: StreamFacts,
  now: number,
  changed: Set<number>,
): WriteResult {
  if (request.events.length === 0) return { kind: 'written', revision: facts.lastRevision, position: undefined }
  const stream = log.findOrCreate(request.stream)
  const firstRevision = stream.lastRevision + 1
  const original = isMetastream(request.stream) ? log.find(originalOf(request.stream)) : undefined
  const revivedByMetadata = original !== undefined && isSoftDeleted(original.metadata)
  let position: number | undefined
  for (const event of request.events) position = log.append(stream, event, now)
  changed.add(stream.id)
  const result: WriteResult = { kind: 'written', revision: stream.lastRevision, position }
  if (facts.softDeleted) recreate(log, request.stream, firstRevision, now, changed)
  // New metadata alone would show again what was deleted.
  if (revivedByMetadata) recreate(log, original.name, original.lastRevision + 1, now, changed)
  return result
}

/** Brings a soft-deleted stream back from `firstRevision` on: what was deleted stays hidden. */
function recreate(log: EventLog, stream: string, firstRevision: number, now: number, changed: Set<number>): void {
  const former = log.rawMetadata(stream) ?? softDeleteMetadata
  writeMetadata(log, stream, recreatedMetadata(former, firstRevision), now, changed)
}

function softDelete(log: EventLog, stream: string, now: number, changed: Set<number>): WriteResult {
  const position = writeMetadata(log, stream, softDeleteMetadata, now, changed)
  return { kind: 'written', revision: log.find(stream)?.lastRevision ?? NO_EVENTS, position }
}

function bury(log: EventLog, name: string, now: number, changed: Set<number>): WriteResult {
  const stream = log.findOrCreate(name)
  const position = log.tombstone(stream, randomUUID(), now)
  changed.add(stream.id)
  return { kind: 'written', revision: stream.lastRevision, position }
}

/** @returns position of the `$metadata` event */
function writeMetadata(log: EventLog, stream: string, json: string, now: number, changed: Set<number>): number {
  const metastream = log.findOrCreate(metastreamOf(stream))
  changed.add(metastream.id)
  const event = {
    id: randomUUID(),
    type: METADATA_TYPE,
    contentType: 'application/json',
    metadata: new Uint8Array(),
    data: Buffer.from(json),
  }
  return log.append(metastream, event, now)
}
