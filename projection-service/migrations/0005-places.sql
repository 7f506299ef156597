-- A place in a topic is told by content, not by an offset alone: a topic that was made anew, restored or cut counts its offsets
-- anew. Every generation of every read model gets the columns that platform/checkpoint reads: live, next, previous, sides, and what a
-- swap has left behind. Null where a former release wrote last. No row is rewritten; each table, which has a row for each
-- partition, is locked for a moment. A process of the former release goes on without the columns.
do $$
declare
  found record;
begin
  for found in
    select distinct n.nspname as schema
    from annals.projection p
    join pg_namespace n on n.nspname = p.name or starts_with(n.nspname, p.name || '_')
    join pg_class c on c.relnamespace = n.oid and c.relname = 'checkpoint' and c.relkind = 'r'
    -- A name may begin as another one does, and another schema like it.
    where exists (
      select from pg_attribute a
      where a.attrelid = c.oid and a.attname = 'next_offset' and not a.attisdropped
    )
    order by schema
  loop
    execute format(
      'alter table %I.checkpoint
         add column if not exists topic_id text,
         add column if not exists record_offset bigint,
         add column if not exists record_mark text',
      found.schema
    );
    if not exists (
      select from pg_constraint
      where conrelid = format('%I.checkpoint', found.schema)::regclass and conname = 'checkpoint_record_whole'
    ) then
      execute format(
        'alter table %I.checkpoint
           add constraint checkpoint_record_whole check ((record_offset is null) = (record_mark is null))',
        found.schema
      );
    end if;
  end loop;
end
$$;
