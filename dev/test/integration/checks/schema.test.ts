import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it, jest } from '@jest/globals'
import { requireEnv } from '@annals/platform/testing'
import { dumpSchema } from '../../../checks/schema/dump.mjs'
import { inNewDatabase, services, withClient, writtenSchema } from '../../../checks/schema/schemas.mjs'

jest.setTimeout(120_000)

const adminUrl = requireEnv('POSTGRES_ADMIN_URL')

/** The dump of an empty database in which these statements were run. Each is rolled back: a database of its own costs a second. */
type Dump = (sql: string) => Promise<string>
const inOneDatabase = (work: (dumpOf: Dump) => Promise<void>) =>
  inNewDatabase(adminUrl, (url) =>
    withClient(url, (client) =>
      work(async (sql) => {
        await client.query('begin')
        try {
          await client.query(sql)
          return await dumpSchema(client)
        } finally {
          await client.query('rollback')
        }
      }),
    ),
  )

it('schema.sql of every service is what its migrations make', () => {
  const program = join(__dirname, '../../../commands/schema.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--check'], { encoding: 'utf8' })
  expect(stdout + stderr).toBe(services.map((service: string) => `${service}/schema.sql: current\n`).join(''))
  expect(status).toBe(0)
})

describe('the dump of a schema', () => {
  it('of every service, read back, gives the same dump', () =>
    inOneDatabase(async (dumpOf) => {
      for (const service of services) {
        const written = writtenSchema(service)!
        expect(await dumpOf(written)).toBe(written.replace(/^--.*\n/gm, '').trimStart())
      }
    }))

  const everything = `
    create extension if not exists plpgsql;
    create schema kept;
    create type kept.colour as enum ('red', 'green');
    create function kept.touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create table kept.parent (id bigint generated always as identity primary key, colour kept.colour not null default 'red');
    create unlogged table kept.child (
      "Odd name" text collate "C", parent bigint references kept.parent, twice integer generated always as (1 + 1) stored
    ) with (fillfactor=80);
    create unique index on kept.child (lower("Odd name")) where parent > 0;
    create view kept.seen as select parent from kept.child;
    create trigger touched before update on kept.child for each row execute function kept.touch();
    comment on column kept.child.parent is 'it''s whose';`

  it('writes what it knows so that it can be read back', () =>
    inOneDatabase(async (dumpOf) => {
      const once = await dumpOf(everything)
      for (const part of ['fillfactor', 'unlogged', 'enum', 'TRIGGER', 'create view', 'comment on column', 'stored'])
        expect(once).toContain(part)
      expect(await dumpOf(once)).toBe(once)
    }))

  it('does not depend on the order in which things were made, and tells any difference', () =>
    inOneDatabase(async (dumpOf) => {
      const tables = ['create table a (x integer not null);', 'create table b (y text);']
      const dump = await dumpOf(tables.join(''))
      expect(await dumpOf(tables.toReversed().join(''))).toBe(dump)
      for (const change of [
        'alter table a alter x drop not null',
        'alter table a alter x set default 1',
        'alter table a alter x type bigint',
        'alter table a add check (x > 0)',
        'create index on a (x)',
        'alter table b rename y to z',
        'alter table b set (fillfactor = 90)',
      ])
        expect(await dumpOf(`${tables.join('')} ${change}`)).not.toBe(dump)
    }))

  it('refuses what it can not write', () =>
    inOneDatabase(async (dumpOf) => {
      for (const [sql, what] of unknown) await expect(dumpOf(sql!)).rejects.toThrow(what!)
    }))

  const unknown = [
    ['create table p (x integer) partition by range (x)', 'relation public.p of kind p'],
    ['create table r (x integer); alter table r enable row level security', 'relation public.r of kind r'],
    ['create materialized view m as select 1', 'relation public.m of kind m'],
    ['create sequence s', "sequence public.s, which is no identity column's"],
    ['create domain d as text', 'type public.d of kind d'],
    ['create type c as (x integer)', 'composite type public.c'],
    ['create table u (x integer); create rule quiet as on insert to u do nothing', 'rule quiet'],
    ['create table e (x integer, exclude using btree (x with =))', 'constraint e_x_excl of kind x'],
  ]
})
