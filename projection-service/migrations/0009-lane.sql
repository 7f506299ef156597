-- The lane: read models that stand at the same place share a consumer group, a checkpoint for each partition and the revisions of
-- streams (docs/decisions/0073). New tables only; nothing is locked that another release uses. A read model that the former release
-- made keeps its own tables until a projector of this release installs it in the lane.

-- How far the lane has read each partition.
create table annals.lane_checkpoint (
  topic text not null,
  partition integer not null check (partition >= 0),
  next_offset bigint not null check (next_offset >= 0),
  -- Highest log position of the events applied; -1: none yet.
  position bigint not null,
  topic_id text,
  record_offset bigint,
  record_mark text,
  -- Id of the event at that position.
  position_event text,
  -- Grows whenever a place of this partition changes: a projector reads the places again only then.
  places_epoch bigint not null default 0,
  updated_at timestamptz not null default now(),
  primary key (topic, partition),
  constraint lane_checkpoint_record_whole check ((record_offset is null) = (record_mark is null))
);

-- Revision of the last event of each stream that the lane has applied, passed over, parked or queued.
create table annals.stream (
  stream text primary key,
  revision bigint not null check (revision >= 0),
  -- Of its topic: tells which place a read model has this stream from.
  partition smallint not null
);

-- Where each live read model stands in each partition that it reads. Whoever changes a row whether it is joined, or joined again, holds
-- the lane's checkpoint of the partition.
create table annals.place (
  projection text not null references annals.projection (name),
  topic text not null,
  partition integer not null,
  -- It gets what the lane reads; its own position means nothing then.
  joined boolean not null,
  -- Not joined: log position up to which it has applied everything; -1: nothing.
  position bigint not null default -1,
  position_event text,
  -- Ranges of the log of which it has applied every event, whatever the lane has read: it is handed none of them again.
  complete int8multirange not null default '{}',
  -- Not joined: where it left, and the last late event that it had been handed.
  left_at bigint,
  late_seen bigint not null default 0,
  -- Why it left, for people.
  reason text,
  updated_at timestamptz not null default now(),
  primary key (projection, topic, partition)
);
create index place_not_joined on annals.place (projection) where not joined;

-- Streams that stand still in a live read model at an event which could not be applied.
create table annals.blocked (
  stream text not null,
  projection text not null references annals.projection (name),
  primary key (stream, projection)
);
create index blocked_by_projection on annals.blocked (projection);

-- Events that the lane has applied although it had reached a higher log position before: Kafka had not brought them, and they were read
-- from the log, or came late. Who was not joined then is handed them when it catches up.
create table annals.late_event (
  id bigint primary key generated always as identity,
  topic text not null,
  partition integer not null,
  stream text not null,
  revision bigint not null,
  position bigint not null,
  applied_at timestamptz not null default now()
);
create index late_event_by_place on annals.late_event (topic, partition, id);
