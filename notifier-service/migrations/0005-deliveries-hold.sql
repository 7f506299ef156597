-- The tables about deliveries that were set back get the names that their code has: *ledger* is the double-entry ledger and nothing else.
-- Renaming locks both, which are empty nearly always, for a moment and rewrites nothing. A process of the former release goes on
-- through the views, which PostgreSQL reads and writes as it does the tables; a later release drops them.
alter table ledger_hold rename to deliveries_hold;
alter table deliveries_hold rename constraint ledger_hold_pkey to deliveries_hold_pkey;
alter table deliveries_hold rename constraint ledger_hold_one to deliveries_hold_one;
create view ledger_hold as select * from deliveries_hold;

alter table ledger_gap rename to deliveries_gap;
alter table deliveries_gap rename constraint ledger_gap_pkey to deliveries_gap_pkey;
alter table deliveries_gap rename constraint ledger_gap_mails_known to deliveries_gap_mails_known;
create view ledger_gap as select * from deliveries_gap;
