-- A place in a topic is told by content, not by an offset alone: a topic that was made anew, restored or cut counts its offsets
-- anew. Columns as platform/checkpoint reads them; null where a former release wrote last. No row is rewritten; the lock on the
-- table, which has a row for each partition, is held for a moment. A process of the former release goes on without them.
alter table checkpoint
  add column topic_id text,
  add column record_offset bigint,
  add column record_mark text,
  add constraint checkpoint_record_whole check ((record_offset is null) = (record_mark is null));
