-- The schema that projection-service/migrations make together. Read it; do not edit it: `npm run schema` writes it, and
-- `npm test` compares it with what a new database has after all migrations.

create schema annals;

create table annals.blocked (
  stream text not null,
  projection text not null,
  constraint blocked_pkey PRIMARY KEY (stream, projection)
);

create table annals.lane_checkpoint (
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  "position" bigint not null,
  topic_id text,
  record_offset bigint,
  record_mark text,
  position_event text,
  places_epoch bigint default 0 not null,
  updated_at timestamp with time zone default now() not null,
  constraint lane_checkpoint_next_offset_check CHECK ((next_offset >= 0)),
  constraint lane_checkpoint_partition_check CHECK ((partition >= 0)),
  constraint lane_checkpoint_record_whole CHECK (((record_offset IS NULL) = (record_mark IS NULL))),
  constraint lane_checkpoint_pkey PRIMARY KEY (topic, partition)
);

create table annals.late_event (
  id bigint generated always as identity not null,
  topic text not null,
  partition integer not null,
  stream text not null,
  revision bigint not null,
  "position" bigint not null,
  applied_at timestamp with time zone default now() not null,
  constraint late_event_pkey PRIMARY KEY (id)
);

create table annals.log_state (
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

create table annals.parked_action (
  id bigint generated always as identity not null,
  at timestamp with time zone default now() not null,
  actor text not null,
  action text not null,
  projection text not null,
  version integer not null,
  stream text not null,
  event_ids text[] not null,
  applied integer default 0 not null,
  reason text,
  constraint parked_action_action_known CHECK ((action = ANY (ARRAY['retry'::text, 'drop'::text, 'refold'::text]))),
  constraint parked_action_actor_named CHECK ((actor <> ''::text)),
  constraint parked_action_drop_of_one CHECK (((action <> 'drop'::text) OR (cardinality(event_ids) = 1))),
  constraint parked_action_drop_with_reason CHECK (((action <> 'drop'::text) OR ((reason IS NOT NULL) AND (reason <> ''::text)))),
  constraint parked_action_version_positive CHECK ((version > 0)),
  constraint parked_action_pkey PRIMARY KEY (id)
);

create table annals.place (
  projection text not null,
  topic text not null,
  partition integer not null,
  joined boolean not null,
  "position" bigint default '-1'::integer not null,
  position_event text,
  complete int8multirange default '{}'::int8multirange not null,
  left_at bigint,
  late_seen bigint default 0 not null,
  reason text,
  updated_at timestamp with time zone default now() not null,
  constraint place_pkey PRIMARY KEY (projection, topic, partition)
);

create table annals.projection (
  name text not null,
  version integer not null,
  previous_version integer,
  epoch bigint default 1 not null,
  installed_at timestamp with time zone default now() not null,
  swapped_at timestamp with time zone,
  constraint projection_name_form CHECK ((name ~ '^[a-z][a-z0-9_]{0,40}$'::text)),
  constraint projection_previous_version_positive CHECK ((previous_version > 0)),
  constraint projection_version_positive CHECK ((version > 0)),
  constraint projection_pkey PRIMARY KEY (name)
);

create table annals.rebuild (
  id uuid not null,
  projection text not null,
  version integer not null,
  state text not null,
  "position" bigint default '-1'::integer not null,
  events bigint default 0 not null,
  reason text,
  report jsonb,
  started_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  actor text,
  runs integer default 1 not null,
  failures integer default 0 not null,
  failure jsonb,
  worked interval default '00:00:00'::interval not null,
  purpose text default 'rebuild'::text not null,
  constraint rebuild_aborted_with_reason CHECK (((state <> 'aborted'::text) OR (reason IS NOT NULL))),
  constraint rebuild_failures_counted CHECK ((failures >= 0)),
  constraint rebuild_purpose_known CHECK ((purpose = ANY (ARRAY['rebuild'::text, 'verify'::text]))),
  constraint rebuild_runs_positive CHECK ((runs > 0)),
  constraint rebuild_state_known CHECK ((state = ANY (ARRAY['prepared'::text, 'folding'::text, 'catching-up'::text, 'indexing'::text, 'verifying'::text, 'swapping'::text, 'live'::text, 'aborted'::text]))),
  constraint rebuild_pkey PRIMARY KEY (id)
);

create table annals.stream (
  stream text not null,
  revision bigint not null,
  partition smallint not null,
  constraint stream_revision_check CHECK ((revision >= 0)),
  constraint stream_pkey PRIMARY KEY (stream)
);

alter table annals.blocked add constraint blocked_projection_fkey FOREIGN KEY (projection) REFERENCES annals.projection(name);

alter table annals.parked_action add constraint parked_action_projection_fkey FOREIGN KEY (projection) REFERENCES annals.projection(name);

alter table annals.place add constraint place_projection_fkey FOREIGN KEY (projection) REFERENCES annals.projection(name);

alter table annals.rebuild add constraint rebuild_projection_fkey FOREIGN KEY (projection) REFERENCES annals.projection(name);

CREATE INDEX blocked_by_projection ON annals.blocked USING btree (projection);

CREATE INDEX late_event_by_place ON annals.late_event USING btree (topic, partition, id);

CREATE INDEX parked_action_by_stream ON annals.parked_action USING btree (projection, stream, id);

CREATE INDEX parked_action_drops ON annals.parked_action USING btree (projection, version) WHERE (action = 'drop'::text);

CREATE INDEX place_not_joined ON annals.place USING btree (projection) WHERE (NOT joined);

CREATE INDEX rebuild_history ON annals.rebuild USING btree (projection, started_at DESC);

CREATE UNIQUE INDEX rebuild_unfinished ON annals.rebuild USING btree (projection) WHERE (state <> ALL (ARRAY['live'::text, 'aborted'::text]));

create view annals.parked_audit as
 SELECT id,
    at,
    actor,
    action,
    projection,
    version,
    stream,
    event_ids,
    applied,
    reason
   FROM annals.parked_action;
