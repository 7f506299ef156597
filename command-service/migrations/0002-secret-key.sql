-- Keys of secrets that prove who somebody is: hashes of passwords. They are wrapped by master keys that the command service alone has,
-- and no other role may select this table: readers of subject_key can not open such a secret. An event names the key by its id.
-- A deployment has one or a few. Rows are never deleted or changed, except to wrap a key anew.
-- Locks: nothing; the table is new. The former release does not know it.
create table secret_key (
  tenant text not null,
  key_id uuid not null,
  -- Version, nonce, tag and 32 bytes under the master key.
  wrapped_key bytea not null,
  master_key_id text not null,
  created_at timestamptz not null default now(),
  constraint secret_key_pk primary key (tenant, key_id),
  constraint secret_key_tenant_form check (tenant ~ '^[a-z0-9-]{1,64}$'),
  constraint secret_key_wrapped_length check (octet_length(wrapped_key) = 61)
);
