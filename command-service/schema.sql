-- The schema that command-service/migrations make together. Read it; do not edit it: `npm run schema` writes it, and
-- `npm test` compares it with what a new database has after all migrations.

create table public.secret_key (
  tenant text not null,
  key_id uuid not null,
  wrapped_key bytea not null,
  master_key_id text not null,
  created_at timestamp with time zone default now() not null,
  constraint secret_key_tenant_form CHECK ((tenant ~ '^[a-z0-9-]{1,64}$'::text)),
  constraint secret_key_wrapped_length CHECK ((octet_length(wrapped_key) = 61)),
  constraint secret_key_pk PRIMARY KEY (tenant, key_id)
);

create table public.subject_key (
  tenant text not null,
  subject text not null,
  wrapped_key bytea,
  master_key_id text not null,
  created_at timestamp with time zone default now() not null,
  destroyed_at timestamp with time zone,
  expires_at timestamp with time zone,
  constraint subject_key_destroyed_whole CHECK (((wrapped_key IS NULL) = (destroyed_at IS NOT NULL))),
  constraint subject_key_subject_length CHECK (((length(subject) >= 1) AND (length(subject) <= 64))),
  constraint subject_key_tenant_form CHECK ((tenant ~ '^[a-z0-9-]{1,64}$'::text)),
  constraint subject_key_wrapped_length CHECK ((octet_length(wrapped_key) = 61)),
  constraint subject_key_pk PRIMARY KEY (tenant, subject)
);

CREATE INDEX subject_key_by_expiry ON public.subject_key USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (wrapped_key IS NOT NULL));

grant usage on schema public to annals_keys_reader;

grant select on public.subject_key to annals_keys_reader;
