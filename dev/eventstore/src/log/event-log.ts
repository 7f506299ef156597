import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import type { DatabaseSyncInstance } from '@photostructure/sqlite'
import { decodeEventData, encodeRecordedEvent, TOMBSTONE_REVISION } from '../protocol/recorded-event'
import {
  isMetastream,
  METADATA_TYPE,
  metastreamOf,
  parseStreamMetadata,
  TOMBSTONE_TYPE,
} from '../rules/stream-metadata'
import { NO_EVENTS } from '../rules/expected-revision'
import type { StreamMetadata } from '../rules/stream-metadata'
import { lockDirectory } from './directory-lock'
import { pragmas, schema, SCHEMA_VERSION } from './schema'
import { prepareStatements } from './statements'
import type { Statements } from './statements'

/** An event as a client proposes it. */
export interface ProposedEvent {
  /** UUID, lower case. */
  id: string
  type: string
  contentType: string
  metadata: Uint8Array
  data: Uint8Array
}

/** What the log knows of one stream. Mutable: the one writer keeps it current, and forgets all of them on a rollback. */
export interface StreamState {
  id: number
  name: string
  lastRevision: number
  tombstoned: boolean
  metadata: StreamMetadata
  hasMetadata: boolean
}

/** One stored event as reads need it: `[position, message]`, plus what the query was asked for. */
export interface StoredEvent {
  position: number
  message: Uint8Array
  /** NaN where the query does not ask for it. */
  revision: number
  /** Name of the stream or the type, where the query filters on it; else empty. */
  filtered: string
}

/** Bytes read from disk at once: large events make small pages, so that no read holds more than this and one event. */
const PAGE_BYTES_MAX = 1024 * 1024

/** Some events in order, and whether there may be more after them. */
export interface StoredPage {
  events: StoredEvent[]
  more: boolean
}

/** A log file begins with a header; so does ours, which keeps position 0 free for "start". */
const FIRST_POSITION = 64

/** Streams whose state is remembered; some 200 bytes each. */
const REMEMBERED_STREAMS_MAX = 50_000

/**
 * The log on disk: appends, and reads by position and by revision. Synchronous; one process, one writer.
 * Rules (who may append what) are not its business.
 */
export class EventLog {
  private readonly database: DatabaseSyncInstance
  private readonly remembered = new Map<string, StreamState>()
  private readonly unlock: () => void
  private nextPosition: number
  private readonly statements: Statements

  /** @param directory is created when missing. @throws Error when the file is in use, corrupt or of a newer schema */
  constructor(readonly directory: string) {
    mkdirSync(directory, { recursive: true })
    this.unlock = lockDirectory(directory)
    try {
      this.database = new DatabaseSync(join(directory, 'events.sqlite'))
      this.database.exec(pragmas)
      this.migrate()
      this.statements = prepareStatements(this.database)
      this.nextPosition = this.readEnd()
    } catch (error) {
      this.unlock()
      throw error
    }
  }

  private readEnd(): number {
    const last = this.statements.lastEvent.get() as [number, number] | undefined
    return last ? last[0] + last[1] : FIRST_POSITION
  }

  private migrate(): void {
    const [{ user_version: version }] = this.database.prepare('PRAGMA user_version').all() as [{ user_version: number }]
    if (version > SCHEMA_VERSION)
      throw new Error(`${this.directory} was written by a newer version (schema ${version})`)
    if (version === SCHEMA_VERSION) return
    this.database.exec(`BEGIN IMMEDIATE; ${schema}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
  }

  /** Runs `work` in one transaction, durable when this returns. @throws what `work` or the commit threw, rolled back */
  transaction<T>(work: () => T): T {
    this.statements.begin.run()
    try {
      const result = work()
      this.statements.commit.run()
      return result
    } catch (error) {
      this.remembered.clear()
      if (this.database.isTransaction) this.statements.rollback.run()
      this.nextPosition = this.readEnd()
      throw error
    }
  }

  /** @returns the position the next event will get; greater than every position in use */
  get end(): number {
    return this.nextPosition
  }

  get isEmpty(): boolean {
    return this.nextPosition === FIRST_POSITION
  }

  /** @returns the stream's state, or undefined when neither it nor its metadata was ever written */
  find(name: string): StreamState | undefined {
    const known = this.remembered.get(name)
    if (known) return known
    const row = this.statements.stream.get(name) as [number, number] | undefined
    if (!row) return undefined
    const [id, tombstoned] = row
    const [lastRevision] = this.statements.lastRevision.get(id) as [number | null]
    const metadata = isMetastream(name) ? undefined : this.rawMetadata(name)
    return this.remember({
      id,
      name,
      lastRevision: lastRevision ?? NO_EVENTS,
      tombstoned: tombstoned === 1,
      metadata: metadata === undefined ? {} : parseStreamMetadata(metadata),
      hasMetadata: metadata !== undefined,
    })
  }

  /** Like `find`, and makes the stream when it is not there. Inside a transaction only. */
  findOrCreate(name: string): StreamState {
    const found = this.find(name)
    if (found) return found
    const { lastInsertRowid } = this.statements.insertStream.run(name)
    const state = { name, lastRevision: NO_EVENTS, tombstoned: false, metadata: {}, hasMetadata: false }
    return this.remember({ id: Number(lastInsertRowid), ...state })
  }

  private remember(state: StreamState): StreamState {
    if (this.remembered.size >= REMEMBERED_STREAMS_MAX) this.remembered.clear()
    this.remembered.set(state.name, state)
    return state
  }

  /** @returns the metadata of `stream` as it was written, JSON; undefined when there is none */
  rawMetadata(stream: string): string | undefined {
    const metastream = this.statements.stream.get(metastreamOf(stream)) as [number, number] | undefined
    const row = metastream && (this.statements.lastMessage.get(metastream[0]) as [Uint8Array] | undefined)
    return row && Buffer.from(decodeEventData(row[0])).toString('utf8')
  }

  /** Appends at the end of the stream. Inside a transaction only. @returns position of the event */
  append(stream: StreamState, event: ProposedEvent, createdAt: number): number {
    const revision = stream.lastRevision + 1
    const position = this.insert(stream, event, revision, createdAt)
    stream.lastRevision = revision
    if (event.type === METADATA_TYPE && isMetastream(stream.name)) this.applyMetadata(stream.name, event.data)
    return position
  }

  /** Ends the stream for good. Inside a transaction only. @returns position of the tombstone event */
  tombstone(stream: StreamState, id: string, createdAt: number): number {
    const nothing = new Uint8Array()
    const event = {
      id,
      type: TOMBSTONE_TYPE,
      contentType: 'application/octet-stream',
      metadata: nothing,
      data: nothing,
    }
    const position = this.insert(stream, event, TOMBSTONE_REVISION, createdAt)
    this.statements.tombstone.run(stream.id)
    stream.tombstoned = true
    return position
  }

  private insert(
    stream: StreamState,
    event: ProposedEvent,
    revision: number | typeof TOMBSTONE_REVISION,
    createdAt: number,
  ): number {
    const position = this.nextPosition
    const message = encodeRecordedEvent({ ...event, stream: stream.name, revision, position, createdAt })
    const id = Buffer.from(event.id.replaceAll('-', ''), 'hex')
    const stored = typeof revision === 'number' ? revision : null
    this.statements.insertEvent.run(position, stream.id, stored, id, event.type, createdAt, message)
    this.nextPosition = position + message.length
    return position
  }

  private applyMetadata(metastream: string, json: Uint8Array): void {
    const original = this.findOrCreate(metastream.slice(2))
    original.metadata = parseStreamMetadata(Buffer.from(json).toString('utf8'))
    original.hasMetadata = true
  }

  revisionOfId(stream: StreamState, id: string): number | undefined {
    const idBytes = Buffer.from(id.replaceAll('-', ''), 'hex')
    const [revision] = this.statements.revisionOfId.get(stream.id, idBytes) as [number | null]
    return revision ?? undefined
  }

  /** @returns UUID as lower-case text */
  idAt(stream: StreamState, revision: number): string | undefined {
    const row = this.statements.idAt.get(stream.id, revision) as [Uint8Array] | undefined
    if (!row) return undefined
    const hex = Buffer.from(row[0]).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  /** @returns the stored message of the event at that revision */
  messageAt(stream: StreamState, revision: number): Uint8Array | undefined {
    return (this.statements.messageAt.get(stream.id, revision) as [Uint8Array] | undefined)?.[0]
  }

  positionAt(stream: StreamState, revision: number): number | undefined {
    return (this.statements.positionAt.get(stream.id, revision) as [number] | undefined)?.[0]
  }

  /** @returns at most `limit` events of the stream from `revision` on, not older than `createdFrom`, ascending */
  readStreamForwards(streamId: number, revision: number, createdFrom: number, limit: number): StoredPage {
    return page(this.statements.streamForwards.iterate(streamId, revision, createdFrom, limit), limit)
  }

  /** @returns at most `limit` events of the stream from `revision` down to `firstRevision`, descending */
  readStreamBackwards(
    streamId: number,
    revision: number,
    firstRevision: number,
    createdFrom: number,
    limit: number,
  ): StoredPage {
    return page(this.statements.streamBackwards.iterate(streamId, revision, firstRevision, createdFrom, limit), limit)
  }

  /** @returns at most `limit` events of the log at or after `position`, ascending; `filtered` as `name` says */
  readAllForwards(position: number, limit: number, name: 'none' | 'type' | 'stream'): StoredPage {
    return page(this.statements.allForwards[name].iterate(position, limit), limit)
  }

  /** @returns at most `limit` events of the log before `position`, descending; `filtered` as `name` says */
  readAllBackwards(position: number, limit: number, name: 'none' | 'type' | 'stream'): StoredPage {
    return page(this.statements.allBackwards[name].iterate(position, limit), limit)
  }

  /** Empties the write-ahead log into the database file and closes it. */
  close(): void {
    this.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    this.database.close()
    this.unlock()
  }
}

/** Rows up to `PAGE_BYTES_MAX`; `more` when the limit of the page ended it, or its bytes did. */
function page(rows: IterableIterator<unknown>, limit: number): StoredPage {
  const events: StoredEvent[] = []
  let bytes = 0
  for (const row of rows as IterableIterator<[number, Uint8Array, number | null, string]>) {
    const [position, message, revision, filtered] = row
    events.push({ position, message, revision: revision ?? Number.NaN, filtered })
    bytes += message.length
    if (bytes >= PAGE_BYTES_MAX) return { events, more: true }
  }
  return { events, more: events.length === limit }
}
