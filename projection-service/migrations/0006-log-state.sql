-- Which log the read models were made from, and whether it is still the one that is there: written by the projector, which compares,
-- read by the query API. A new table only; nothing is locked that another release uses.
create table annals.log_state (
  -- There is one row at most.
  one boolean primary key default true constraint log_state_one check (one),
  -- Id of the log's first event; null: it was empty.
  identity text,
  -- The event that was found at its position when both were last compared and equal; null: nothing was applied yet.
  position bigint,
  event_id text,
  checked_at timestamptz not null default now(),
  -- Why the log is refused, for people; null: it is not.
  refusal text,
  constraint log_state_event_whole check ((position is null) = (event_id is null))
);
