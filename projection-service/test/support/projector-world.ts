import { beforeEach } from '@jest/globals'
import { createMetrics } from '@annals/platform/metrics'
import { testScope, type TestDatabase, type TestScope } from '@annals/platform/testing'
import { tablesOf } from '../../src/engine/tables/generation'
import type { Projection } from '../../src/engine/definition/projection'
import { createProjector, type Projector, type ProjectorOptions } from '../../src/projector/projector'
import { projectionDatabase, silent } from './database'
import { opensNothing } from './facts'
import { openOwnTopics, type OwnTopics } from './own-topics'
import { nobody } from './read-models'

/** What a test of running projectors owns: a database, and topics with a publisher into them; there while it runs. */
export interface ProjectorWorld extends OwnTopics {
  scope: TestScope
  database: TestDatabase
  /** Ends with the test, unless it is stopped before. */
  startProjector(over?: Partial<ProjectorOptions>): Promise<Projector>
  /** Events seen, by the revisions of each projection's streams. */
  seen(): Promise<number[]>
}

/** Called once, at the file's top level. @param projections that are fed. */
export function useProjectorWorld(projections: readonly Projection[]): ProjectorWorld {
  const scope = testScope()
  let topics: OwnTopics
  // What it does can be named before a test has begun; what it has is there while one runs.
  const world = {
    scope,
    publish: (events) => topics.publish(events),
    makeAnew: (names) => topics.makeAnew(names),
    async startProjector(over = {}) {
      const projector = createProjector({
        projections,
        brokers: topics.brokers,
        pool: world.database.pool,
        openAll: opensNothing,
        log: silent,
        metrics: createMetrics('test'),
        observer: nobody,
        onFatal: () => undefined,
        groupId: `${topics.prefix}lane`,
        topicPrefix: topics.prefix,
        ...over,
      })
      scope.onEnd(() => projector.stop(), 'projector')
      await projector.start()
      return projector
    },
    seen: () =>
      Promise.all(
        projections.map(async (projection) => {
          const { rows } = await world.database.pool.query(
            `select coalesce(sum(revision + 1), 0) as seen from ${tablesOf(projection, 'live').stream}`,
          )
          return Number(rows[0].seen)
        }),
      ),
  } as ProjectorWorld

  beforeEach(async () => {
    world.database = await scope.database(projectionDatabase)
    topics = await openOwnTopics(scope)
    Object.assign(world, { brokers: topics.brokers, prefix: topics.prefix, publisher: topics.publisher })
  })
  return world
}
