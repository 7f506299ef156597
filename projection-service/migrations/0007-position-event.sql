-- Which event lies at the log position that a read model has reached, so that the log can be compared with what was read of it. In
-- every generation of every read model, as 0005; null where a former release wrote last. No row is rewritten; each table, which
-- has a row for each partition, is locked for a moment. A process of the former release goes on without the column.
do $$
declare
  found record;
begin
  for found in
    select distinct n.nspname as schema
    from annals.projection p
    join pg_namespace n on n.nspname = p.name or starts_with(n.nspname, p.name || '_')
    join pg_class c on c.relnamespace = n.oid and c.relname = 'checkpoint' and c.relkind = 'r'
    where exists (
      select from pg_attribute a
      where a.attrelid = c.oid and a.attname = 'next_offset' and not a.attisdropped
    )
    order by schema
  loop
    execute format('alter table %I.checkpoint add column if not exists position_event text', found.schema);
  end loop;
end
$$;
