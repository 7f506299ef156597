import { cpSync, lstatSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildAll, migrateAll } from '../dev/commands/build.mjs'
import { setUpDatabases } from '../dev/stack/databases.mjs'
import { installDependencies } from '../dev/install/install.mjs'
import { startStack, stopServers } from '../dev/stack/native.mjs'
import { openProfile, root, shown } from '../dev/profile.mjs'
import { generousLimits } from '../dev/stack/generous-limits.mjs'
import { startServices } from '../dev/stack/services.mjs'
import { Trouble } from '../dev/terminal/trouble.mjs'
import { startLoad } from './load/process.mjs'

/** No mail is sent and no charge is made while something is measured. */
const everyServer = ['eventstore', 'kafka', 'postgres', 'redis']
/**
 * Cheap password hashes: users are made for a measurement, passwords are not measured. No payment gateway: nothing is charged. Access
 * tokens outlive the longest measurement.
 */
const serviceEnvironment = {
  BCRYPT_COST: '10',
  PAYMENT_GATEWAY_URL: 'http://127.0.0.1:1',
  ACCESS_TOKEN_SECONDS: '3600',
  REGISTRATION_MODE: 'open',
  RATE_LIMITS: generousLimits(),
}

/**
 * The servers of one measurement, with data of their own that is deleted at the end, and what is run against them.
 *
 * @param {{ progress: import('../dev/terminal/progress.mjs').Progress, signal: AbortSignal, onEnd: (stop: () => Promise<void>) => void }}
 *   lifetime
 * @param {{ skipBuild: boolean, profile: boolean }} options
 * @param {string[]} [servers] that run; default: all that a measurement may need
 */
export async function openScene({ progress, signal, onEnd }, options, servers = everyServer) {
  await installDependencies(progress)
  await removeLeftovers()
  const name = `bench-${process.pid}`
  const profile = await openProfile(name, { ports: 'free' })
  const kept = join(root, '.annals/failed-bench-logs')
  const outcome = { measured: false, closed: false }
  const close = async () => {
    if (outcome.closed) return
    outcome.closed = true
    await stopServers(profile)
    rmSync(kept, { recursive: true, force: true })
    if (!outcome.measured) {
      cpSync(profile.logs, kept, { recursive: true })
      console.error(`\nThe logs of this run: ${shown(kept)}`)
    }
    rmSync(profile.dir, { recursive: true, force: true })
  }
  onEnd(close)
  if (!options.skipBuild) {
    progress.begin('Build')
    await buildAll(profile)
    progress.done('Build')
  }
  const stack = await startStack({ profile: name, ports: 'free', only: servers, progress, signal })
  await migrateAll(stack)
  const profiles = join(root, '.annals/bench-profiles')
  if (options.profile) mkdirSync(profiles, { recursive: true })
  const profiled = pathToFileURL(join(import.meta.dirname, 'load/profiled.mjs')).href
  const nodeOptions = options.profile ? { NODE_OPTIONS: `--import=${profiled}`, ANNALS_PROFILES: profiles } : {}

  const { env } = stack
  return {
    env,
    profile,
    progress,
    signal,

    /** @param {string} name of a server; its data stay */
    stopServer: (name) => stack.kill(name, 'SIGTERM'),
    /** @param {string} name of a server that was stopped; it is ready when this resolves */
    startServer: (name) => stack.restart(name),

    /** @returns {number} what the servers' data take on disk now, in GB (10^9 bytes) */
    diskGb: () => sizeOf(profile.data) / 1e9,

    /** Deletes the read models, so that they can be built as if for the first time. */
    async forgetReadModels() {
      const database = new URL(env.PROJECTION_DATABASE_URL).pathname.slice(1)
      await withDatabase(env.POSTGRES_ADMIN_URL, (db) => db.query(`drop database "${database}" with (force)`))
      await setUpDatabases(env)
      await migrateAll(stack)
    },

    /**
     * Starts some of the system's processes; they are up when this resolves.
     *
     * @param {string[]} only @param {{ BENCH_READ_MODELS?: string }} [env] how many read models a projector feeds
     */
    services: (only, env = {}) =>
      startServices(stack, {
        only,
        env: { ...serviceEnvironment, ...preloading(env, nodeOptions) },
        progress: silent,
        signal,
      }),

    /**
     * Runs `work` with a load process that has been connected, and ends it.
     *
     * @template T @param {string} name @param {unknown} order to its handler `connect`
     * @param {(load: ReturnType<typeof startLoad>) => Promise<T>} work @returns {Promise<T>}
     */
    async withLoad(name, order, work) {
      const load = startLoad(name)
      const abort = () => void load.stop()
      signal.addEventListener('abort', abort)
      try {
        await load.ask('connect', order, 180_000)
        return await work(load)
      } finally {
        signal.removeEventListener('abort', abort)
        await load.stop()
      }
    },

    withDatabase,

    /** @param {string} title @param {(update: (detail: string) => void) => Promise<{ value: any, text: string }>} work */
    async step(title, work) {
      signal.throwIfAborted()
      progress.begin(title)
      try {
        const { value, text } = await work((detail) => progress.update(title, detail))
        progress.done(title, text)
        return value
      } catch (error) {
        progress.failed(title)
        throw error
      }
    },

    /** Environment of a process that is to be profiled, when profiles are wanted. */
    nodeOptions,

    /** All that was asked for was measured: everything stops, and neither data nor logs are kept. */
    async finish() {
      outcome.measured = true
      await close()
    },
  }
}

/** More read models than a release has are put into the projector's list before it starts. */
function preloading(env, nodeOptions) {
  if (env.BENCH_READ_MODELS === undefined) return nodeOptions
  const copies = pathToFileURL(join(import.meta.dirname, 'load/copies.mjs')).href
  return { ...nodeOptions, ...env, NODE_OPTIONS: `${nodeOptions.NODE_OPTIONS ?? ''} --import=${copies}`.trim() }
}

/** What a run may take at its most: the log, the read models twice, PostgreSQL's and Kafka's own logs, Emmett's events. */
const diskBytes = ({ events, emmettEvents, long }) => 2e9 + (long ? 5 * events * 2_500 + emmettEvents * 3_000 : 0)

/** @param {ReturnType<typeof import('./options.mjs').readOptions>} options @throws {Trouble} when the disk is too small */
export function refuseWithoutRoom(options) {
  const { bavail, bsize } = statfsSync(root)
  const needed = diskBytes(options)
  if (bavail * bsize >= needed) return
  throw new Trouble(
    `This takes ${(needed / 1e9).toFixed(0)} GB of disk at its most; ${((bavail * bsize) / 1e9).toFixed(0)} GB are free.`,
    { remedy: 'free some, or measure with fewer --events.' },
  )
}

function sizeOf(path) {
  try {
    const stat = lstatSync(path)
    if (!stat.isDirectory()) return stat.size
    return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
  } catch {
    // Servers delete files while this goes through them.
    return 0
  }
}

/** Runs `work` with a connection to a database. @template T @param {string} url @param {(db: import('pg').Client) => Promise<T>} work */
async function withDatabase(url, work) {
  const { Client } = createRequire(import.meta.url)('pg')
  const db = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 120_000 })
  await db.connect()
  try {
    return await work(db)
  } finally {
    await db.end()
  }
}

/** A run that was killed could not tidy up. */
async function removeLeftovers() {
  mkdirSync(join(root, '.annals'), { recursive: true })
  for (const name of readdirSync(join(root, '.annals'))) {
    const pid = Number(/^bench-(\d+)$/.exec(name)?.[1])
    if (!pid || isProcess(pid)) continue
    const profile = await openProfile(name)
    await stopServers(profile)
    rmSync(profile.dir, { recursive: true, force: true })
  }
}

function isProcess(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Services come and go between phases: a line for each start would hide the figures. */
const silent = { begin() {}, update() {}, done() {}, failed() {}, print() {}, close() {} }
