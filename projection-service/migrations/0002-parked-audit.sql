-- What people did about streams that a read model could not apply, for ever: who, when, what, why. Beside the read models, not
-- in them: it survives every rebuild. A new table only; nothing is locked that another release uses.
create table annals.parked_audit (
  id bigint primary key generated always as identity,
  at timestamptz not null default now(),
  actor text not null constraint parked_audit_actor_named check (actor <> ''),
  action text not null constraint parked_audit_action_known check (action in ('retry', 'drop', 'refold')),
  projection text not null references annals.projection (name),
  -- Of the projection's definition: a drop holds for this version only, another one meets the event anew.
  version integer not null constraint parked_audit_version_positive check (version > 0),
  stream text not null,
  -- The events it was about, in order: for a retry the one that failed again, if any, is the last.
  event_ids text[] not null,
  -- How many events were applied by it.
  applied integer not null default 0,
  reason text,
  constraint parked_audit_drop_with_reason check (action <> 'drop' or (reason is not null and reason <> '')),
  constraint parked_audit_drop_of_one check (action <> 'drop' or cardinality(event_ids) = 1)
);

create index parked_audit_by_stream on annals.parked_audit (projection, stream, id);
-- Read by every fold from the log: what was dropped is passed over there, too.
create index parked_audit_drops on annals.parked_audit (projection, version) where action = 'drop';
