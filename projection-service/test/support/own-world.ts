import { afterEach, beforeEach } from '@jest/globals'
import type { RebuildDependencies } from '../../src/replay/rebuild/rebuild'
import { createTestDatabase, silent, type TestDatabase } from './database'
import { opensNothing } from './facts'
import { openOwnLog, type OwnLog } from './own-log'

/** What a test owns; there while it runs. */
export interface OwnWorld {
  database: TestDatabase
  own: OwnLog
}

/** A database and a log for each test of a file. Called once, at the file's top level. */
export function useOwnWorld(): OwnWorld {
  const world = {} as OwnWorld
  beforeEach(async () => {
    world.database = await createTestDatabase()
    world.own = await openOwnLog()
  })
  afterEach(async () => {
    await world.own.close()
    await world.database.drop()
  })
  return world
}

/** A rebuild in a test's own world, watched by nobody and never interrupted. */
export const rebuildDependencies = (
  { database, own }: OwnWorld,
  over: Partial<RebuildDependencies> = {},
): RebuildDependencies => ({
  pool: database.pool,
  log: own.log,
  openAll: opensNothing,
  logger: silent,
  observer: { stage: () => undefined, progress: () => undefined },
  signal: new AbortController().signal,
  ...over,
})
