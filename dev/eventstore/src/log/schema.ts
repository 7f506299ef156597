/**
 * One database file per log. `event.message` is what a reader gets on the wire (see protocol/recorded-event.ts); the other
 * columns are what reads, filters and idempotent re-appends look up.
 */
export const SCHEMA_VERSION = 1

export const schema = `
  CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- 1 when the stream was deleted for good; nothing can be appended to it or read from it.
    tombstoned INTEGER NOT NULL DEFAULT 0 CHECK (tombstoned IN (0, 1))
  ) STRICT;

  CREATE TABLE event (
    -- Place in $all. Positions grow by the bytes of each event, as in the log file of an EventStoreDB, so that no reader
    -- comes to believe that they are dense.
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES stream (id),
    -- NULL for the tombstone, whose revision 2^63 - 1 is written in the message only.
    revision INTEGER,
    id BLOB NOT NULL CHECK (length(id) = 16),
    type TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    message BLOB NOT NULL
  ) STRICT;

  CREATE UNIQUE INDEX event_revision ON event (stream, revision);
  -- Not unique: with an explicit expected revision the same id may be written again further on.
  CREATE INDEX event_id ON event (stream, id);
`

/**
 * WAL with synchronous=FULL: a commit returns after its fsync, so what was acknowledged survives a power cut.
 * Reads go through the memory map (1 GiB of it at most); the page cache of 16 MiB holds what is being changed.
 */
export const pragmas = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = OFF;
  PRAGMA cache_size = -16384;
  PRAGMA mmap_size = 1073741824;
  PRAGMA wal_autocheckpoint = 4000;
`
