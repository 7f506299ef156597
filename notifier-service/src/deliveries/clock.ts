import type { Pool, PoolClient } from '@annals/platform/postgres'

/** The database's time in epoch ms. All that is early, late or too old is judged by it: clocks of processes differ, by days at worst. */
export async function databaseTime(db: Pool | PoolClient): Promise<number> {
  const { rows } = await db.query<{ ms: number }>('select extract(epoch from now())::double precision * 1000 as ms')
  return rows[0]!.ms
}
