/** What a writer believes of the stream; a number is the revision of its last event. */
export type ExpectedRevision = 'any' | 'no_stream' | 'stream_exists' | number

/** Revision of a stream without events. */
export const NO_EVENTS = -1

/** What the rules need to know of the stream, before the append. */
export interface StreamFacts {
  /** Revision of the last event ever written, `NO_EVENTS` when there is none. */
  lastRevision: number
  tombstoned: boolean
  softDeleted: boolean
  hasMetadata: boolean
}

/** Looks up what is already in the stream; asked only when a rule depends on it. */
export interface StreamHistory {
  /** @returns revision of the latest event in this stream with that id */
  revisionOfId(id: string): number | undefined
  /** @returns id of the event at that revision of this stream, also when it is no longer readable */
  idAt(revision: number): string | undefined
}

export type AppendDecision =
  | { kind: 'append' }
  /** All of these events are there already; `lastRevision` is where the last of them stands. */
  | { kind: 'repeated'; lastRevision: number }
  | { kind: 'wrong-expected-revision' }
  | { kind: 'stream-deleted' }

/**
 * EventStoreDB's rules for an append (its `IndexWriter.CheckCommit`). A repeat is recognised when all ids are there: after
 * the expected revision, one by one, or for *any* and *stream exists* anywhere in the stream. When only some are there
 * the append is refused as a wrong expected revision, because part of it would be doubled.
 * @param ids of the events to append, in order; an empty list writes nothing and succeeds when the expectation holds
 */
export function decideAppend(
  expected: ExpectedRevision,
  ids: readonly string[],
  stream: StreamFacts,
  history: StreamHistory,
): AppendDecision {
  if (stream.tombstoned) return { kind: 'stream-deleted' }
  if (expected === 'stream_exists') {
    if (stream.softDeleted) return { kind: 'stream-deleted' }
    if (stream.lastRevision === NO_EVENTS && !stream.hasMetadata) return { kind: 'wrong-expected-revision' }
  }
  if (expected === 'any' || expected === 'stream_exists') return decideAnywhere(ids, history)
  const revision = expected === 'no_stream' ? NO_EVENTS : expected
  if (revision > stream.lastRevision) return { kind: 'wrong-expected-revision' }
  if (revision === stream.lastRevision) return { kind: 'append' }
  return decideAfter(revision, ids, stream, history)
}

function decideAnywhere(ids: readonly string[], history: StreamHistory): AppendDecision {
  let lastRevision: number | undefined
  for (const [index, id] of ids.entries()) {
    const revision = history.revisionOfId(id)
    if (revision === undefined) return index === 0 ? { kind: 'append' } : { kind: 'wrong-expected-revision' }
    lastRevision = revision
  }
  return lastRevision === undefined ? { kind: 'append' } : { kind: 'repeated', lastRevision }
}

function decideAfter(
  expected: number,
  ids: readonly string[],
  stream: StreamFacts,
  history: StreamHistory,
): AppendDecision {
  let revision = expected
  for (const id of ids) {
    revision++
    if (history.idAt(revision) === id) continue
    const nothingMatched = revision === expected + 1
    // A soft-deleted stream reads as if it were not there, so "no stream" may begin it anew.
    if (nothingMatched && expected === NO_EVENTS && stream.softDeleted) return { kind: 'append' }
    return { kind: 'wrong-expected-revision' }
  }
  return ids.length === 0 ? { kind: 'wrong-expected-revision' } : { kind: 'repeated', lastRevision: revision }
}
