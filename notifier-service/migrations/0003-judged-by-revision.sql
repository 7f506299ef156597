-- What was read is told by the revision of each stream, as read models tell it: a hole is found, and a topic that was made anew is read
-- again without a second message. New tables, and columns on the table of checkpoints, which has a row for each partition and is locked
-- for a moment. A process of the former release goes on without all of it; see judged_offset.
create table stream_revision (
  stream text constraint stream_revision_pkey primary key,
  -- The last one that was read.
  revision bigint not null constraint stream_revision_counted check (revision >= 0)
);

alter table checkpoint
  -- How often this row was moved: a ledger that was set back has a smaller number than the witness on Kafka.
  add column moves bigint not null default 0,
  -- next_offset as the last release that keeps revisions has left it. When it differs (null: always), a former release has moved the
  -- checkpoint since, and left no revisions: what lies up to `position` then counts as read.
  add column judged_offset bigint,
  -- Up to this log position everything of the partition was read without revisions.
  add column seen_position bigint not null default -1,
  -- Id of the event at `position`; null: not known. The log is compared by it.
  add column position_event text;

-- Events of types that this release does not know, to be read from the log by one that does. No content: that is in the log.
create table unread_event (
  stream text not null,
  revision bigint not null,
  event_id text not null,
  event_type text not null,
  topic text not null,
  partition integer not null,
  record_offset bigint not null,
  position bigint not null,
  set_aside_at timestamptz not null default now(),
  constraint unread_event_pkey primary key (stream, revision)
);
create index unread_event_by_type on unread_event (event_type, position);

-- An event that was read from the log stands at the offset of the record before which it belongs: the offset alone names two then.
alter table parked
  drop constraint parked_pkey,
  add constraint parked_once unique nulls not distinct (topic, partition, record_offset, event_id);
