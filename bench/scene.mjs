import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildAll, migrateAll } from '../dev/build.mjs'
import { installDependencies } from '../dev/install.mjs'
import { startStack, stopServers } from '../dev/native.mjs'
import { openProfile, root, shown } from '../dev/profile.mjs'
import { startServices } from '../dev/services.mjs'
import { startLoad } from './load/process.mjs'

/** No mail is sent and no charge is made while something is measured. */
const servers = ['eventstore', 'kafka', 'postgres', 'redis']
/** Cheap password hashes: users are made for a measurement, passwords are not measured. No gateway: nothing is charged. */
const serviceEnvironment = { BCRYPT_COST: '10', GATEWAY_URL: 'http://127.0.0.1:1' }

/**
 * The servers of one measurement, with data of their own that is deleted at the end, and what is run against them.
 *
 * @param {{ progress: import('../dev/progress.mjs').Progress, signal: AbortSignal, onEnd: (stop: () => Promise<void>) => void }}
 *   lifetime
 * @param {{ skipBuild: boolean, profile: boolean }} options
 */
export async function openScene({ progress, signal, onEnd }, options) {
  await installDependencies(progress)
  await removeLeftovers()
  const name = `bench-${process.pid}`
  const profile = await openProfile(name, { ports: 'free' })
  const kept = join(root, '.annals/failed-bench-logs')
  const outcome = { measured: false }
  onEnd(async () => {
    await stopServers(profile)
    rmSync(kept, { recursive: true, force: true })
    if (!outcome.measured) {
      cpSync(profile.logs, kept, { recursive: true })
      console.error(`\nThe logs of this run: ${shown(kept)}`)
    }
    rmSync(profile.dir, { recursive: true, force: true })
  })
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

  return {
    env: stack.env,
    profile,
    progress,
    signal,

    /** Starts some of the system's processes; they are up when this resolves. @param {string[]} only */
    services: (only) =>
      startServices(stack, { only, env: { ...serviceEnvironment, ...nodeOptions }, progress: silent, signal }),

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

    /** Runs `work` with a connection to a database. @template T @param {string} url @param {(db: import('pg').Client) => Promise<T>} work */
    async withDatabase(url, work) {
      const { Client } = createRequire(import.meta.url)('pg')
      const db = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 60_000 })
      await db.connect()
      try {
        return await work(db)
      } finally {
        await db.end()
      }
    },

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

    /** All that was asked for was measured: the logs need not be kept. */
    finish() {
      outcome.measured = true
    },
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
