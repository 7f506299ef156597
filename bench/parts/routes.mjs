import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { root } from '../../dev/profile.mjs'
import { launch, stop } from '../../dev/stack/processes.mjs'
import { withAdmin } from '../kafka.mjs'

const { topicNames } = createRequire(import.meta.url)('@annals/contracts')

const program = join(root, 'command-service/dist/relay/main.js')
/** Two routes, of as near the same weight as the topics allow: six tenths and four tenths of the events. */
export const twoRoutes = [['annals.payments'], ['annals.sessions', 'annals.users', 'annals.challenges']]
/** Where the relays keep how far they came; without it their groups have no offsets. */
const checkpointTopic = 'annals.relay.checkpoints'
const stopWithinMs = 20_000
const deletedWithinMs = 30_000

/** Of relays that are started here: any port for operations. */
const environmentOf = ({ env }, more) => ({
  ...process.env,
  ...env,
  SECRETS_MASTER_KEY: undefined,
  PASSWORD_PEPPER: undefined,
  POSTGRES_ADMIN_URL: undefined,
  OPERATIONS_PORT: '0',
  ...more,
})

const settingOf = (routes) => routes.map((topics) => topics.join(',')).join(';')

/** Divides the work of publishing; relays that run are fenced. @param {string[][]} routes none: one relay does all of it */
export async function divideWork(scene, routes) {
  await promisify(execFile)(process.execPath, [program, '--change-routes'], {
    env: environmentOf(scene, { RELAY_ROUTES: settingOf(routes) }),
    timeout: 60_000,
  })
}

/** Starts a relay for each route. @returns {Promise<{ stop: () => Promise<void> }>} they may not be ready yet */
export async function startRelays(scene, routes) {
  const { profile } = scene
  const relays = []
  for (const [i, [topic]] of routes.entries())
    relays.push(
      await launch(profile, {
        name: `relay-${i + 1}`,
        command: process.execPath,
        args: ['--enable-source-maps', program],
        cwd: root,
        env: environmentOf(scene, { RELAY_ROUTES: settingOf(routes), RELAY_ROUTE: topic }),
      }),
    )
  return {
    async stop() {
      for (const relay of relays) await stop(profile, relay, { timeoutMs: stopWithinMs })
    },
  }
}

/** Deletes what was published, and how far publishing came: the next relay begins as if it were the first. */
export const forgetPublished = ({ env, signal }) =>
  withAdmin(env.KAFKA_BROKERS.split(','), async (admin) => {
    const names = [...topicNames, checkpointTopic]
    await admin.deleteTopics({ topics: names })
    const deadline = performance.now() + deletedWithinMs
    for (;;) {
      const left = (await admin.listTopics()).filter((topic) => names.includes(topic))
      if (left.length === 0) return
      if (performance.now() > deadline) throw new Error(`${left.join(', ')} could not be deleted`)
      await delay(200, undefined, { signal })
    }
  })
