-- The schema that notifier-service/migrations make together. Read it; do not edit it: `npm run schema` writes it, and
-- `npm test` compares it with what a new database has after all migrations.

create table public.attempt (
  delivery_id uuid not null,
  number integer not null,
  worker text not null,
  started_at timestamp with time zone default now() not null,
  finished_at timestamp with time zone,
  outcome text,
  code text,
  constraint attempt_finished_has_outcome CHECK (((outcome IS NULL) = (finished_at IS NULL))),
  constraint attempt_numbered CHECK ((number > 0)),
  constraint attempt_outcome_known CHECK ((outcome = ANY (ARRAY['accepted'::text, 'rejected'::text, 'transient'::text, 'unknown'::text]))),
  constraint attempt_pkey PRIMARY KEY (delivery_id, number)
);

create table public.checkpoint (
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  "position" bigint not null,
  updated_at timestamp with time zone default now() not null,
  topic_id text,
  record_offset bigint,
  record_mark text,
  moves bigint default 0 not null,
  judged_offset bigint,
  seen_position bigint default '-1'::integer not null,
  position_event text,
  constraint checkpoint_next_offset_check CHECK ((next_offset >= 0)),
  constraint checkpoint_partition_check CHECK ((partition >= 0)),
  constraint checkpoint_record_whole CHECK (((record_offset IS NULL) = (record_mark IS NULL))),
  constraint checkpoint_pkey PRIMARY KEY (topic, partition)
);

create table public.deliveries_gap (
  topic text not null,
  partition integer not null,
  topic_id text not null,
  until_offset bigint not null,
  until_position bigint not null,
  until_at timestamp with time zone not null,
  mails text not null,
  accepted_at timestamp with time zone default now() not null,
  constraint deliveries_gap_mails_known CHECK ((mails = ANY (ARRAY['repeat'::text, 'skip'::text]))),
  constraint deliveries_gap_pkey PRIMARY KEY (topic, partition)
);

create table public.deliveries_hold (
  one boolean default true not null,
  found_at timestamp with time zone default now() not null,
  witnesses jsonb not null,
  constraint deliveries_hold_one CHECK (one),
  constraint deliveries_hold_pkey PRIMARY KEY (one)
);

create table public.delivery (
  id uuid not null,
  tenant text not null,
  event_id uuid not null,
  event_type text not null,
  rule text not null,
  recipient text not null,
  channel text not null,
  identity text not null,
  template text not null,
  data jsonb not null,
  state text not null,
  reason text,
  attempts integer default 0 not null,
  next_attempt_at timestamp with time zone,
  lease_until timestamp with time zone,
  correlation_id text not null,
  traceparent text,
  occurred_at timestamp with time zone not null,
  recorded_at timestamp with time zone default now() not null,
  settled_at timestamp with time zone,
  constraint delivery_attempts_counted CHECK ((attempts >= 0)),
  constraint delivery_channel_known CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text]))),
  constraint delivery_pending_is_due CHECK (((state = 'pending'::text) = (next_attempt_at IS NOT NULL))),
  constraint delivery_sending_is_leased CHECK (((state = 'sending'::text) = (lease_until IS NOT NULL))),
  constraint delivery_settled_has_time CHECK (((state = ANY (ARRAY['awaiting-recipient'::text, 'pending'::text, 'sending'::text, 'unknown'::text])) = (settled_at IS NULL))),
  constraint delivery_state_known CHECK ((state = ANY (ARRAY['awaiting-recipient'::text, 'pending'::text, 'sending'::text, 'accepted'::text, 'rejected'::text, 'exhausted'::text, 'unknown'::text, 'suppressed'::text, 'skipped'::text, 'expired'::text]))),
  constraint delivery_pkey PRIMARY KEY (id),
  constraint delivery_identity_once UNIQUE (identity),
  constraint delivery_once UNIQUE (tenant, event_id, rule, recipient)
);

create table public.log_state (
  one boolean default true not null,
  identity text,
  "position" bigint,
  event_id text,
  checked_at timestamp with time zone default now() not null,
  refusal text,
  constraint log_state_event_whole CHECK ((("position" IS NULL) = (event_id IS NULL))),
  constraint log_state_one CHECK (one),
  constraint log_state_pkey PRIMARY KEY (one)
);

create table public.operator_action (
  id bigint generated always as identity not null,
  at timestamp with time zone default now() not null,
  who text not null,
  action text not null,
  why text not null,
  details jsonb not null,
  constraint operator_action_pkey PRIMARY KEY (id)
);

create table public.parked (
  topic text not null,
  partition integer not null,
  record_offset bigint not null,
  event_id text,
  event_type text,
  stream text,
  reason text not null,
  parked_at timestamp with time zone default now() not null,
  constraint parked_once UNIQUE NULLS NOT DISTINCT (topic, partition, record_offset, event_id)
);

create table public.recipient (
  tenant text not null,
  user_id text not null,
  event jsonb not null,
  known_at timestamp with time zone default now() not null,
  address jsonb,
  phone jsonb,
  profile jsonb,
  expires_at timestamp with time zone,
  constraint recipient_pkey PRIMARY KEY (tenant, user_id)
);

create table public.stream_revision (
  stream text not null,
  revision bigint not null,
  constraint stream_revision_counted CHECK ((revision >= 0)),
  constraint stream_revision_pkey PRIMARY KEY (stream)
);

create table public.unread_event (
  stream text not null,
  revision bigint not null,
  event_id text not null,
  event_type text not null,
  topic text not null,
  partition integer not null,
  record_offset bigint not null,
  "position" bigint not null,
  set_aside_at timestamp with time zone default now() not null,
  constraint unread_event_pkey PRIMARY KEY (stream, revision)
);

alter table public.attempt add constraint attempt_of_delivery FOREIGN KEY (delivery_id) REFERENCES public.delivery(id) ON DELETE CASCADE;

CREATE INDEX delivery_awaiting ON public.delivery USING btree (tenant, recipient) WHERE (state = 'awaiting-recipient'::text);

CREATE INDEX delivery_due ON public.delivery USING btree (channel, next_attempt_at) WHERE (state = 'pending'::text);

CREATE INDEX delivery_leased ON public.delivery USING btree (lease_until) WHERE (state = 'sending'::text);

CREATE INDEX delivery_open ON public.delivery USING btree (channel, state, recorded_at) WHERE (state = ANY (ARRAY['awaiting-recipient'::text, 'pending'::text, 'sending'::text, 'unknown'::text]));

CREATE INDEX delivery_recorded ON public.delivery USING btree (recorded_at);

CREATE INDEX recipient_expiring ON public.recipient USING btree (expires_at) WHERE (expires_at IS NOT NULL);

CREATE INDEX unread_event_by_type ON public.unread_event USING btree (event_type, "position");

create view public.ledger_hold as
 SELECT one,
    found_at,
    witnesses
   FROM public.deliveries_hold;

create view public.ledger_gap as
 SELECT topic,
    partition,
    topic_id,
    until_offset,
    until_position,
    until_at,
    mails,
    accepted_at
   FROM public.deliveries_gap;
