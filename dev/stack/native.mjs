import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { containersServer, engineOf, isContainer } from './docker.mjs'
import { environmentOf, writeEnvironment } from './environment.mjs'
import { allRunning, findRunning, launch, sendSignal, stop, waitReady } from './processes.mjs'
import { becomesFree, isFree, openProfile } from '../profile.mjs'
import { eventstoreServer } from './servers/eventstore.mjs'
import { kafkaServer } from './servers/kafka.mjs'
import { postgresServer } from './servers/postgres.mjs'
import { redisServer } from './servers/redis.mjs'
import { mailServer, smsServer } from './servers/sandboxes.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/**
 * @typedef {object} Server one server of the stack
 * @property {string} name also of its log, pid file and data folder
 * @property {string} title for people
 * @property {(keyof import('../profile.mjs').Ports)[]} ports
 * @property {number} readyWithinMs
 * @property {(context: Context & { say: (text: string) => void, built?: Promise<unknown> }) => Promise<void>} prepare fetches its programs
 * @property {(context: Context) => Promise<import('./processes.mjs').Launch>} launch makes its data directory, too
 * @property {(context: Context) => Promise<unknown>} ready throws while it is not
 *
 * @typedef {object} Context
 * @property {import('../profile.mjs').Profile} profile
 * @property {number} kafkaNodes
 * @property {KafkaDoor[]} [kafkaDoors]
 *
 * @typedef {{ listen: number, advertise: number, secure?: { certificate: string, key: string, username: string, password: string } }}
 *   KafkaDoor a listener of a single Kafka node's own. It names another port than it listens on where a proxy stands before it;
 *   `secure` makes it TLS with SASL (PLAIN and SCRAM-SHA-512), certificate and key in PEM, the key as PKCS #8
 *
 * @typedef {object} Stack
 * @property {import('../profile.mjs').Profile} profile
 * @property {Record<string, string>} env what services and tests need; also in `profile.envFile`
 * @property {string[]} startedHere names of the servers that were not running before
 * @property {() => Promise<void>} stop ends the servers that were started here
 * @property {(name: string, signal?: NodeJS.Signals) => Promise<void>} kill default SIGKILL; resolves when it has ended
 * @property {(name: string, signal: NodeJS.Signals) => void} signal for SIGSTOP and SIGCONT: does not wait
 * @property {(name: string) => Promise<void>} restart starts a server that has ended; resolves when it is ready
 */

/** @param {number} kafkaNodes @returns {Server[]} in the order they are listed to a person */
export const serversOf = (kafkaNodes) => [
  eventstoreServer,
  ...Array.from({ length: kafkaNodes }, (_, index) => kafkaServer(index + 1)),
  postgresServer,
  redisServer,
  mailServer,
  smsServer,
]

/**
 * Brings up every server of a profile, those that run already excepted, and resolves when all are ready. When one fails, those
 * that were started here are stopped again.
 *
 * @param {object} options
 * @param {string} [options.profile] default `dev`
 * @param {'default' | 'free' | Partial<import('../profile.mjs').Ports>} [options.ports]
 * @param {1 | 3} [options.kafkaNodes] three: replication factor 3, two in sync; a profile keeps its number
 * @param {KafkaDoor[]} [options.kafkaDoors] with one node
 * @param {string[]} [options.only] names of servers; default: all
 * @param {'native' | 'auto'} [options.engine] `auto`: Docker where an engine answers. Its containers are one server, `docker`,
 *   which cannot be killed or restarted apart. Default `native`
 * @param {Promise<unknown>} [options.built] a build that is under way; default: what has to be built is built here
 * @param {import('../terminal/progress.mjs').Progress} [options.progress]
 * @param {AbortSignal} [options.signal] ends the waiting
 * @returns {Promise<Stack>}
 * @throws {Trouble}
 */
export async function startStack({
  profile: name = 'dev',
  ports = 'default',
  kafkaNodes,
  kafkaDoors,
  only,
  engine: wantedEngine = 'native',
  built,
  progress,
  signal,
} = {}) {
  const profile = await openProfile(name, { ports })
  const context = { profile, kafkaNodes: keptKafkaNodes(profile, kafkaNodes), kafkaDoors }
  const engine = await engineOf(profile, wantedEngine === 'native' || context.kafkaNodes > 1 ? 'native' : undefined)
  const servers = chosen(serversOn(engine, context.kafkaNodes), only)
  const env = environmentOf(profile, { ...context, engine })
  const started = []
  const failed = new AbortController()
  const either = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])])
  const bringUp = async (server) => {
    progress?.begin(server.title)
    try {
      const known = findRunning(profile, server.name)
      if (!known) await server.prepare({ ...context, built, say: (text) => progress?.update(server.title, text) })
      either.throwIfAborted()
      const running = known ?? (await start(server, context))
      if (!known) started.push(server)
      progress?.update(server.title, 'starting')
      await waitReady(profile, running, () => server.ready(context), {
        timeoutMs: server.readyWithinMs,
        signal: either,
        remedy: 'read its log; if its data is damaged, `npm run stack -- reset` makes all local data new.',
      })
      progress?.done(server.title, `127.0.0.1:${profile.ports[server.ports.at(0)]}${known ? ' (was running)' : ''}`)
    } catch (error) {
      progress?.failed(server.title, either.aborted ? 'given up' : undefined)
      // The others need not wait: everything that was started here is stopped again.
      failed.abort(error)
      throw error
    }
  }
  const stopStarted = () =>
    stopServers(
      profile,
      started.map((server) => server.name),
    )
  const outcomes = await Promise.allSettled(servers.map(bringUp))
  if (outcomes.some(({ status }) => status === 'rejected')) {
    await stopStarted()
    signal?.throwIfAborted()
    throw failed.signal.reason
  }
  writeEnvironment(profile, env)
  const serverOf = (wanted) => chosen(servers, [wanted])[0]
  return {
    profile,
    env,
    startedHere: started.map((server) => server.name),
    stop: stopStarted,
    async kill(wanted, how = 'SIGKILL') {
      const running = findRunning(profile, serverOf(wanted).name)
      if (running) await stop(profile, running, { signal: how })
    },
    signal(wanted, how) {
      const running = findRunning(profile, serverOf(wanted).name)
      if (running) sendSignal(running, how)
    },
    async restart(wanted) {
      const server = serverOf(wanted)
      const running = findRunning(profile, server.name) ?? (await start(server, context))
      if (!started.includes(server)) started.push(server)
      await waitReady(profile, running, () => server.ready(context), { timeoutMs: server.readyWithinMs, signal })
    },
  }
}

function serversOn(engine, kafkaNodes) {
  const native = serversOf(kafkaNodes)
  if (engine === 'native') return native
  const contained = native.filter(({ name }) => isContainer(name))
  return [containersServer(contained), ...native.filter(({ name }) => !isContainer(name))]
}

function chosen(servers, names) {
  if (!names) return servers
  const unknown = names.find((name) => !servers.some((server) => server.name === name))
  if (unknown === undefined) return servers.filter(({ name }) => names.includes(name))
  throw new Trouble(`There is no server "${unknown}"; there are ${servers.map(({ name }) => name).join(', ')}.`)
}

/** Ends servers of a profile, all at once: nothing but services depends on their order. @param {string[]} [names] default: all */
export async function stopServers(profile, names) {
  const running = allRunning(profile).filter(({ name }) => names === undefined || names.includes(name))
  await Promise.all(running.map((each) => stop(profile, each, { timeoutMs: each.name === 'docker' ? 90_000 : 15_000 })))
}

/**
 * Fetches what npm does not bring (Kafka, Redis), which needs no npm package and can go on beside `npm ci`.
 *
 * @param {import('../profile.mjs').Profile} profile
 * @param {import('../terminal/progress.mjs').Progress} progress
 */
export async function prefetch(profile, progress) {
  if ((await engineOf(profile)) === 'docker') return
  await Promise.all(
    [kafkaServer(1), redisServer].map(async (server) => {
      const title = `${server.title} programs`
      progress.begin(title)
      let fetched = false
      const say = (text) => {
        fetched = true
        progress.update(title, text)
      }
      try {
        await server.prepare({ profile, kafkaNodes: 1, say })
        progress.done(title, fetched ? undefined : 'present')
      } catch (error) {
        progress.failed(title)
        throw error
      }
    }),
  )
}

/**
 * Tells of a taken port before anything long begins.
 *
 * @param {import('../profile.mjs').Profile} profile
 * @param {Pick<Server, 'name' | 'title' | 'ports'>[]} [others] beside the servers of the stack
 */
export async function refuseTakenPorts(profile, others = []) {
  for (const server of [...serversOf(1), ...others]) {
    const running = findRunning(profile, isContainer(server.name) ? 'docker' : server.name)
    if (!running && !findRunning(profile, server.name)) await refuseTakenPort(profile, server)
  }
}

async function refuseTakenPort(profile, server) {
  for (const port of server.ports) {
    if (await isFree(profile.ports[port])) continue
    throw new Trouble(`Port ${profile.ports[port]}, which ${server.title} needs, is taken by another program.`, {
      remedy: `end that program, or choose another port: ANNALS_PORT_${port.toUpperCase()}=${profile.ports[port] + 10}`,
    })
  }
}

async function start(server, context) {
  // Waits for a killed one's sockets to close.
  for (const port of server.ports) await becomesFree(context.profile.ports[port])
  await refuseTakenPort(context.profile, server)
  return launch(context.profile, await server.launch(context))
}

/** The number of Kafka nodes is written in their data; another number needs new data. */
function keptKafkaNodes(profile, wanted) {
  const file = join(profile.dir, 'kafka-nodes.json')
  const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  if (kept !== undefined && wanted !== undefined && kept !== wanted) {
    throw new Trouble(`The data of profile "${profile.name}" was made with ${kept} Kafka node(s), not ${wanted}.`, {
      remedy: '`npm run stack -- reset` first (local data is lost), or another profile: `--profile <name>`.',
    })
  }
  const nodes = kept ?? wanted ?? 1
  if (kept === undefined) writeFileSync(file, JSON.stringify(nodes))
  return nodes
}
