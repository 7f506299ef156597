-- A shadow may be built only to be compared with live (`--verify-only`), and is dropped then, whatever was found. Such a row ends
-- in state 'aborted', the one end without a swap that the former release knows; its report says whether both were equal.
-- No row is rewritten; the lock on the table, which has a row for each rebuild ever begun, is held for a moment.
alter table annals.rebuild
  add column purpose text not null default 'rebuild' constraint rebuild_purpose_known check (purpose in ('rebuild', 'verify'));
