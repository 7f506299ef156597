-- The table of what people did about parked streams gets the name that its code has: *audit* is the security audit trail and nothing
-- else. Renaming locks the table for a moment and rewrites nothing. A process of the former release goes on through the view,
-- which PostgreSQL reads and writes as it does the table; a later release drops it.
alter table annals.parked_audit rename to parked_action;
alter table annals.parked_action rename constraint parked_audit_pkey to parked_action_pkey;
alter table annals.parked_action rename constraint parked_audit_projection_fkey to parked_action_projection_fkey;
alter table annals.parked_action rename constraint parked_audit_actor_named to parked_action_actor_named;
alter table annals.parked_action rename constraint parked_audit_action_known to parked_action_action_known;
alter table annals.parked_action rename constraint parked_audit_version_positive to parked_action_version_positive;
alter table annals.parked_action rename constraint parked_audit_drop_with_reason to parked_action_drop_with_reason;
alter table annals.parked_action rename constraint parked_audit_drop_of_one to parked_action_drop_of_one;
alter index annals.parked_audit_by_stream rename to parked_action_by_stream;
alter index annals.parked_audit_drops rename to parked_action_drops;
alter sequence annals.parked_audit_id_seq rename to parked_action_id_seq;

create view annals.parked_audit as select * from annals.parked_action;
