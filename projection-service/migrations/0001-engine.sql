-- What the projection engine itself keeps. Read models are not here: they are derived from the log, each in a schema of its
-- own, made from its definition. New tables only; nothing is locked that another release uses.
create schema annals;

-- The read models that are served, each with the version of its definition. Every projector transaction compares it.
create table annals.projection (
  name text primary key constraint projection_name_form check (name ~ '^[a-z][a-z0-9_]{0,40}$'),
  version integer not null constraint projection_version_positive check (version > 0),
  -- Version of the generation kept for rollback, if there is one.
  previous_version integer constraint projection_previous_version_positive check (previous_version > 0),
  -- Grows with every swap and rollback.
  epoch bigint not null default 1,
  installed_at timestamptz not null default now(),
  swapped_at timestamptz
);

-- One row for each rebuild that was ever begun: what lets a killed one go on, and the history for people.
create table annals.rebuild (
  id uuid primary key,
  projection text not null references annals.projection (name),
  version integer not null,
  state text not null constraint rebuild_state_known check (
    state in ('prepared', 'folding', 'catching-up', 'indexing', 'verifying', 'swapping', 'live', 'aborted')
  ),
  -- Log position up to which the shadow holds everything that it may hold; moves in the transactions that write the shadow.
  position bigint not null default -1,
  events bigint not null default 0,
  reason text,
  -- What verification found: counts, checksums, differing keys.
  report jsonb,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint rebuild_aborted_with_reason check (state <> 'aborted' or reason is not null)
);

-- At most one unfinished rebuild for each projection.
create unique index rebuild_unfinished on annals.rebuild (projection) where state not in ('live', 'aborted');
create index rebuild_history on annals.rebuild (projection, started_at desc);
