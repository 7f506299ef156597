import { createTopics, type TopicSpec } from '../kafka'
import { createLogger } from '../log'
import type { TestScope } from './scope'
import { requireEnv } from './waiting'

/** Makes topics on the real cluster, and deletes them when the scope ends. */
export async function openTopics(scope: TestScope, specs: readonly TopicSpec[]): Promise<void> {
  const topics = createTopics({
    brokers: requireEnv('KAFKA_BROKERS').split(','),
    clientId: 'test',
    log: createLogger('test', 'silent'),
  })
  scope.onEnd(() => topics.close(), 'administration of topics')
  const names = specs.map(({ topic }) => topic)
  scope.onEnd(() => topics.remove(names), `topics ${names.join(', ')}`)
  await topics.ensure(specs, 1)
}
