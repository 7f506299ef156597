-- The delivery ledger: what is to be sent, to whom, what was tried and what came of it; how far the topics have been read;
-- and the records that could not be read. Intents and checkpoint live in one database because they move in one transaction.
-- Locks nothing: all tables are new.

-- Columns as platform/checkpoint reads them.
create table checkpoint (
  topic text not null,
  partition integer not null check (partition >= 0),
  next_offset bigint not null check (next_offset >= 0),
  position bigint not null,
  updated_at timestamptz not null default now(),
  primary key (topic, partition)
);

-- Who can be written to. `event` is user.registered as the log holds it, personal part sealed: no address stands here in
-- clear, and when the person's key is destroyed this row says nothing any more.
create table recipient (
  tenant text not null,
  user_id text not null,
  event jsonb not null,
  known_at timestamptz not null default now(),
  constraint recipient_pkey primary key (tenant, user_id)
);

create table delivery (
  id uuid constraint delivery_pkey primary key,
  tenant text not null,
  event_id uuid not null,
  event_type text not null,
  rule text not null,
  recipient text not null,
  channel text not null constraint delivery_channel_known check (channel in ('email', 'sms')),
  -- What the receiving side knows the message by, the same in every attempt: the Message-ID of a mail.
  identity text not null constraint delivery_identity_once unique,
  template text not null,
  -- What the template needs beside the recipient; never personal data.
  data jsonb not null,
  state text not null constraint delivery_state_known check (state in (
    'awaiting-recipient', 'pending', 'sending', 'accepted', 'rejected', 'exhausted', 'unknown', 'suppressed', 'skipped', 'expired')),
  reason text,
  attempts integer not null default 0 constraint delivery_attempts_counted check (attempts >= 0),
  next_attempt_at timestamptz,
  lease_until timestamptz,
  correlation_id text not null,
  traceparent text,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  settled_at timestamptz,
  -- Promise 4: an intent is recorded once, however often its event is read.
  constraint delivery_once unique (tenant, event_id, rule, recipient),
  constraint delivery_pending_is_due check ((state = 'pending') = (next_attempt_at is not null)),
  constraint delivery_sending_is_leased check ((state = 'sending') = (lease_until is not null)),
  -- `unknown` is not settled: only proof may leave it.
  constraint delivery_settled_has_time check (
    (state in ('awaiting-recipient', 'pending', 'sending', 'unknown')) = (settled_at is null))
);

create index delivery_due on delivery (channel, next_attempt_at) where state = 'pending';
create index delivery_leased on delivery (lease_until) where state = 'sending';
create index delivery_awaiting on delivery (tenant, recipient) where state = 'awaiting-recipient';
-- What has not ended, for the metrics and for giving up what waits too long; ended deliveries leave it.
create index delivery_open on delivery (channel, state, recorded_at)
  where state in ('awaiting-recipient', 'pending', 'sending', 'unknown');
create index delivery_recorded on delivery (recorded_at);

-- Written before anything is sent; `outcome` is null while it is not known.
create table attempt (
  delivery_id uuid not null constraint attempt_of_delivery references delivery (id) on delete cascade,
  number integer not null constraint attempt_numbered check (number > 0),
  worker text not null,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  outcome text constraint attempt_outcome_known check (outcome in ('accepted', 'rejected', 'transient', 'unknown')),
  -- A reply or error code; never the reply's text, which likes to repeat the address.
  code text,
  constraint attempt_pkey primary key (delivery_id, number),
  constraint attempt_finished_has_outcome check ((outcome is null) = (finished_at is null))
);

-- Records that can never be applied. The content stays in Kafka, at the place that is named here.
create table parked (
  topic text not null,
  partition integer not null,
  record_offset bigint not null,
  event_id text,
  event_type text,
  stream text,
  reason text not null,
  parked_at timestamptz not null default now(),
  constraint parked_pkey primary key (topic, partition, record_offset)
);
