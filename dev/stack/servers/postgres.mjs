import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { environmentOf } from '../environment.mjs'
import { setUpDatabases } from '../databases.mjs'
import { asOrdinaryUser, handOver } from '../../install/ordinary-user.mjs'
import { postgresBinaries } from '../../install/postgres/binaries.mjs'
import { logOf } from '../processes.mjs'
import { shown, writePrivately } from '../../profile.mjs'
import { run } from '../../install/tools.mjs'
import { Trouble } from '../../terminal/trouble.mjs'

/** Services, test workers and a replay together stay below; each costs about 2 MB when used. */
const connectionsMax = 200

/** @type {import('../native.mjs').Server} */
export const postgresServer = {
  name: 'postgres',
  title: 'PostgreSQL',
  ports: ['postgres'],
  readyWithinMs: 120_000,
  async prepare({ profile, say }) {
    const { version, origin } = await postgresBinaries({ log: logOf(profile, 'postgres-install'), say })
    say(`PostgreSQL ${version} (${origin})`)
  },
  async launch({ profile }) {
    const binaries = await postgresBinaries({ log: logOf(profile, 'postgres-install'), say: () => {} })
    const data = join(profile.data, 'postgres')
    if (!existsSync(join(data, 'PG_VERSION'))) await initialise(profile, binaries, data)
    refuseOtherVersion(binaries, data)
    const settings = {
      port: profile.ports.postgres,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: connectionsMax,
      fsync: 'on',
      timezone: 'UTC',
      log_timezone: 'UTC',
    }
    const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    return {
      name: 'postgres',
      // SIGINT is PostgreSQL's fast shutdown: it ends sessions and writes a checkpoint.
      stopSignal: 'SIGINT',
      ...asOrdinaryUser(join(binaries.bin, 'postgres'), ['-D', data, ...flags], [binaries.bin, data]),
    }
  },
  ready: ({ profile }) => setUpDatabases(environmentOf(profile)),
}

async function initialise(profile, binaries, data) {
  // What a former initdb left when it was interrupted is of no use, and initdb refuses a folder that is not empty.
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { recursive: true, mode: 0o700 })
  handOver(data)
  const passwordFile = join(profile.data, 'postgres-password')
  writePrivately(passwordFile, profile.secrets.postgresAdmin)
  handOver(passwordFile)
  const args = ['-D', data, '-U', 'annals_admin', '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8']
  const {
    command,
    args: fullArgs,
    uid,
    gid,
    env,
  } = asOrdinaryUser(join(binaries.bin, 'initdb'), [...args, '--locale=C'], [binaries.bin, data])
  try {
    await run(command, fullArgs, {
      uid,
      gid,
      env,
      log: logOf(profile, 'postgres'),
      what: 'Making the PostgreSQL data directory',
      timeoutMs: 60_000,
    })
  } catch (error) {
    rmSync(data, { recursive: true, force: true })
    throw error
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

function refuseOtherVersion({ version }, data) {
  const major = version.split('.')[0]
  const written = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  if (written === major) return
  throw new Trouble(
    `The data in ${shown(dirname(data))}/postgres is PostgreSQL ${written}'s, the server is ${major}.`,
    {
      remedy:
        '`npm run stack -- reset` makes it new (local data is lost), or set ANNALS_POSTGRES=system to use your own server.',
      cause: statSync(data).mtime,
    },
  )
}
