import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { composeEnvironment } from './environment.mjs'
import { logOf } from './processes.mjs'
import { root, writePrivately } from '../profile.mjs'
import { run, which } from '../install/tools.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/** A docker program without an engine may try for minutes to reach one. */
const askWithinMs = 2_000
/** Where Docker has the data there is no other choice, and a busy machine gets the time it needs. */
const askAgainWithinMs = 15_000
/** The first start fetches about 1 GB of images. */
const fetchWithinMs = 15 * 60_000
const readyWithinMs = 3 * 60_000

/** Services of docker-compose.yml that stand in for native servers of the same name. */
const containers = ['eventstore', 'kafka', 'postgres', 'redis']

/**
 * Which engine runs a profile's servers: the one that made its data; for a new profile Docker, when an engine and its compose
 * plugin answer, else native processes. `ANNALS_ENGINE=native` or `docker` decides for a new profile.
 *
 * @param {import('../profile.mjs').Profile} profile
 * @param {'native'} [needed] by a caller that kills and freezes single servers
 * @returns {Promise<'native' | 'docker'>}
 * @throws {Trouble} when Docker is asked for, or has the data, and does not answer; or when the data is not where it is needed
 */
export async function engineOf(profile, needed) {
  const file = join(profile.dir, 'engine')
  const kept = existsSync(file) ? readFileSync(file, 'utf8') : undefined
  if (needed && kept && kept !== needed) {
    throw new Trouble(`The data of profile "${profile.name}" is in Docker, and this needs native servers.`, {
      remedy: '`npm run stack -- reset` first (local data is lost), or another profile: `--profile <name>`.',
    })
  }
  const wanted = kept ?? needed ?? process.env.ANNALS_ENGINE
  const engine = wanted ?? ((await dockerAnswers(askWithinMs)) ? 'docker' : 'native')
  if (engine !== 'native' && engine !== 'docker') throw new Trouble('ANNALS_ENGINE is "native" or "docker".')
  if (wanted === 'docker' && !(await dockerAnswers(askAgainWithinMs))) {
    throw new Trouble(
      `No Docker engine with the compose plugin answers${kept ? ', and the data is in its volumes' : ''}.`,
      {
        remedy: 'start Docker, or `npm run stack -- reset` and ANNALS_ENGINE=native (local data is lost).',
      },
    )
  }
  if (kept === undefined) writeFileSync(file, engine)
  return engine
}

async function dockerAnswers(timeout) {
  const docker = which('docker')
  if (!docker) return false
  const ask = (...args) => promisify(execFile)(docker, args, { timeout, killSignal: 'SIGKILL' })
  try {
    const [{ stdout }] = await Promise.all([
      ask('version', '--format', '{{.Server.Version}}'),
      ask('compose', 'version'),
    ])
    return /^\d/.test(stdout.trim())
  } catch {
    return false
  }
}

/**
 * The servers of docker-compose.yml as one server of the stack: `docker compose up` in the foreground is a process like any
 * other, and stops its containers when it is asked to end.
 *
 * @param {import('./native.mjs').Server[]} native those the containers stand in for; their readiness checks are the same
 * @returns {import('./native.mjs').Server}
 */
export const containersServer = (native) => ({
  name: 'docker',
  title: 'Docker containers',
  ports: native.flatMap(({ ports }) => ports.filter((port) => port !== 'kafkaController')),
  readyWithinMs,
  async prepare({ profile, say }) {
    say('fetching images (about 1 GB the first time)')
    writePrivately(envFile(profile), composeEnvironment(profile))
    await run('docker', [...composeArgs(profile), 'create', ...containers], {
      cwd: root,
      log: logOf(profile, 'docker'),
      what: 'docker compose create',
      remedy: 'check the connection to the registry of the images, or use native servers: ANNALS_ENGINE=native.',
      timeoutMs: fetchWithinMs,
    })
  },
  launch: async ({ profile }) => ({
    name: 'docker',
    command: 'docker',
    args: [...composeArgs(profile), 'up', '--no-color', ...containers],
    cwd: root,
    stopSignal: 'SIGINT',
  }),
  ready: (context) => Promise.all(native.map((server) => server.ready(context))),
})

/** @param {string} name @returns {boolean} whether a container stands in for this server */
export const isContainer = (name) => containers.includes(name)

/** Removes a profile's containers and volumes; does nothing when it has none. @param {import('../profile.mjs').Profile} profile */
export async function removeContainers(profile) {
  const file = join(profile.dir, 'engine')
  if (!existsSync(file) || readFileSync(file, 'utf8') !== 'docker' || !existsSync(envFile(profile))) return
  await run('docker', [...composeArgs(profile), 'down', '--volumes'], {
    cwd: root,
    log: logOf(profile, 'docker'),
    what: 'docker compose down',
    timeoutMs: 120_000,
  })
}

const envFile = ({ dir }) => join(dir, 'compose.env')

const composeArgs = (profile) => [
  ...['compose', '--project-name', `annals-${profile.name}`],
  ...['--file', join(root, 'docker-compose.yml'), '--env-file', envFile(profile)],
]
