-- Keys that are destroyed at a time: those of challenges, whose codes and links must not stay readable in events and
-- deliveries. The time stands in the row, so that a table that was restored from an older copy loses the same keys again.
-- Locks: ACCESS EXCLUSIVE for a moment (a column without a default); the index is made over no rows. The former release
-- writes rows without it.
alter table subject_key add column expires_at timestamptz;

create index subject_key_by_expiry on subject_key (expires_at) where expires_at is not null and wrapped_key is not null;
