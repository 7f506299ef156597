-- What became of a rebuild that did not end well, and who runs it: an operator finds it where the rebuild is. New columns with
-- constant defaults only: no row is rewritten, and a process of the former release goes on without them.
alter table annals.rebuild
  -- Who began it or took it up last; null where a former release did.
  add column actor text,
  -- Calls that worked on it: the first, and every one that took it up again.
  add column runs integer not null default 1 constraint rebuild_runs_positive check (runs > 0),
  -- Runs that ended without success and were not interrupted by people; one that died is counted when the next one takes up.
  add column failures integer not null default 0 constraint rebuild_failures_counted check (failures >= 0),
  -- Why the last run ended, while none is under way: error (its name), message, at.
  add column failure jsonb,
  -- How long runs have worked on it, without the time between them.
  add column worked interval not null default '0';
