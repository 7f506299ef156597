import { beforeEach } from '@jest/globals'
import { testScope, type TestDatabase, type TestScope } from '@annals/platform/testing'
import type { RebuildDependencies } from '../../src/replay/rebuild/rebuild'
import { projectionDatabase, silent } from './database'
import { opensNothing } from './facts'
import { openOwnLog, type OwnLog } from './own-log'

/** What a test owns; there while it runs. */
export interface OwnWorld {
  scope: TestScope
  database: TestDatabase
  own: OwnLog
}

/** A database and a log for each test of a file. Called once, at the file's top level. */
export function useOwnWorld(): OwnWorld {
  const scope = testScope()
  const world = { scope } as OwnWorld
  beforeEach(async () => {
    world.database = await scope.database(projectionDatabase)
    world.own = await openOwnLog(scope)
  })
  return world
}

/** A rebuild in a test's own world, watched by nobody and never interrupted. */
export const rebuildDependencies = (
  { database, own }: Pick<OwnWorld, 'database' | 'own'>,
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
