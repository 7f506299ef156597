import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { createLogger } from '@annals/platform/log'
import { createPool, migrate, type Pool } from '@annals/platform/postgres'
import { requireEnv } from '@annals/platform/testing'

export const silent = createLogger('test', 'silent')

export interface TestDatabase {
  url: string
  pool: Pool
  drop(): Promise<void>
}

/** A migrated database of the test's own on the real server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const admin = createPool(requireEnv('POSTGRES_ADMIN_URL'), silent, 1)
  const name = `test_projection_${randomUUID().slice(0, 8)}`
  await admin.query(`create database ${name}`)
  const url = new URL(requireEnv('POSTGRES_ADMIN_URL'))
  url.pathname = `/${name}`
  await migrate(url.href, path.join(__dirname, '../../migrations'), silent)
  const pool = createPool(url.href, silent, 12)
  return {
    url: url.href,
    pool,
    async drop() {
      // A test that failed may still hold a connection: the server ends it.
      const ended = pool.end()
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2_000).unref())])
      await admin.query(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}
