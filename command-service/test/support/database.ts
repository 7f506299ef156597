import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { createLogger } from '@annals/platform/log'
import { createPool, migrate } from '@annals/platform/postgres'
import { requireEnv } from '@annals/platform/testing'

export const silent = createLogger('test', 'silent')

export interface TestDatabase {
  url: string
  drop(): Promise<void>
}

/** A migrated database of the test's own on the real server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const admin = createPool(requireEnv('POSTGRES_ADMIN_URL'), silent, 1)
  const name = `test_command_${randomUUID().slice(0, 8)}`
  await admin.query(`create database ${name}`)
  const url = new URL(requireEnv('POSTGRES_ADMIN_URL'))
  url.pathname = `/${name}`
  await migrate(url.href, path.join(__dirname, '../../migrations'), silent)
  return {
    url: url.href,
    async drop() {
      await admin.query(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}
