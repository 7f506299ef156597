-- One data key per person: what hides the personal fields of their events in the log and on the topics. A destroyed key
-- keeps its row, so that no later event can make a new one for an erased person.
-- Locks: nothing; the table is new.
create table subject_key (
  tenant text not null,
  subject text not null,
  -- Version, nonce, tag and 32 bytes under the master key; null once destroyed.
  wrapped_key bytea,
  -- The master key that wraps it: says which ones may be retired.
  master_key_id text not null,
  created_at timestamptz not null default now(),
  destroyed_at timestamptz,
  constraint subject_key_pk primary key (tenant, subject),
  constraint subject_key_tenant_form check (tenant ~ '^[a-z0-9-]{1,64}$'),
  constraint subject_key_subject_length check (length(subject) between 1 and 64),
  constraint subject_key_wrapped_length check (octet_length(wrapped_key) = 61),
  constraint subject_key_destroyed_whole check ((wrapped_key is null) = (destroyed_at is not null))
);

-- Projector, notifier and replay open personal data with a role that may select this table and nothing else.
do $$
begin
  if exists (select from pg_roles where rolname = 'annals_keys_reader') then
    execute 'grant usage on schema public to annals_keys_reader';
    execute 'grant select on subject_key to annals_keys_reader';
  end if;
end
$$;
