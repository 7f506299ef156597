-- What is known about stores that went backwards, and what people decided about it. New tables only.

-- Which log was read, and whether it is still the one that is there.
create table log_state (
  -- There is one row at most.
  one boolean primary key default true constraint log_state_one check (one),
  -- Id of the log's first event; null: it was empty.
  identity text,
  -- The event that was found at its position when both were last compared and equal; null: nothing was read yet.
  position bigint,
  event_id text,
  checked_at timestamptz not null default now(),
  -- Why the log is refused, for people; null: it is not.
  refusal text,
  constraint log_state_event_whole check ((position is null) = (event_id is null))
);

-- There is a row while the ledger is known to have been set back: nothing is read and nothing sent then.
create table ledger_hold (
  one boolean primary key default true constraint ledger_hold_one check (one),
  found_at timestamptz not null default now(),
  -- The witnesses that are ahead of the ledger: an array of objects as src/set-back/witness.ts describes them.
  witnesses jsonb not null
);

-- Parts of topics that were read before the ledger was set back, and what is to be done with their messages.
create table ledger_gap (
  topic text not null,
  partition integer not null,
  -- Kafka's id of the topic that the offset belongs to.
  topic_id text not null,
  until_offset bigint not null,
  -- Where the topic was made anew since, log position and time stand for the offset.
  until_position bigint not null,
  until_at timestamptz not null,
  mails text not null constraint ledger_gap_mails_known check (mails in ('repeat', 'skip')),
  accepted_at timestamptz not null default now(),
  constraint ledger_gap_pkey primary key (topic, partition)
);

-- What people decided, when, and why.
create table operator_action (
  id bigint generated always as identity constraint operator_action_pkey primary key,
  at timestamptz not null default now(),
  who text not null,
  action text not null,
  why text not null,
  details jsonb not null
);
