-- A recipient is a person or a challenge. A challenge is written to where its own event says: `event` is challenge.issued then, and
-- `user_id` the challenge's id. Of a person, `event` stays user.registered, and what changed since stands beside it: the last
-- user.email_changed, user.phone_changed and user.profile_changed, sealed as the log has them. Adding columns without a default
-- rewrites nothing and locks the table for a moment. A process of the former release goes on: it writes to the address of the
-- registration, and puts off what is for a challenge, which the new release then sends.
alter table recipient
  add column address jsonb,
  add column phone jsonb,
  add column profile jsonb,
  -- Of a challenge: nothing is sent from then on, and the row is dropped a day later.
  add column expires_at timestamptz;

create index recipient_expiring on recipient (expires_at) where expires_at is not null;
