import { mkdirSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { installDebianPackage } from '../../install/debian.mjs'
import { logOf } from '../processes.mjs'
import { which } from '../../install/tools.mjs'
import { Trouble } from '../../terminal/trouble.mjs'

/** Redis holds counters and short-lived marks only; more than this is a fault worth seeing in development. */
const memoryMax = '256mb'

/** @type {import('../native.mjs').Server} */
export const redisServer = {
  name: 'redis',
  title: 'Redis',
  ports: ['redis'],
  readyWithinMs: 60_000,
  async prepare({ profile, say }) {
    if (findRedis()) return
    // redis-tools, not redis-server: the program without a system service that would take port 6379.
    await installDebianPackage('redis-tools', { program: 'Redis', log: logOf(profile, 'redis-install'), say })
  },
  async launch({ profile }) {
    const found = findRedis()
    if (!found) throw new Trouble('Redis was not found.', { remedy: 'install redis-server or valkey-server.' })
    const data = join(profile.data, 'redis')
    mkdirSync(data, { recursive: true })
    const settings = {
      port: profile.ports.redis,
      bind: '127.0.0.1',
      dir: data,
      appendonly: 'yes',
      appendfsync: 'everysec',
      save: '',
      maxmemory: memoryMax,
      'maxmemory-policy': 'noeviction',
      daemonize: 'no',
    }
    const args = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, String(value)])
    return { name: 'redis', ...found, args }
  },
  ready: ({ profile }) => ping(profile.ports.redis),
}

/** @returns {{ command: string, argv0?: string } | undefined} how Redis is started, where it is installed */
export function findRedis() {
  const command = which('redis-server') ?? which('valkey-server')
  if (command) return { command }
  // In Debian one binary is server and tools, and tells by its name which of them it is.
  const tool = which('redis-check-rdb')
  return tool ? { command: tool, argv0: 'redis-server' } : undefined
}

/** Resolves when it serves; a server that still loads its file answers -LOADING. */
function ping(port) {
  return new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1', timeout: 1_000 })
    const fail = (error) => {
      socket.destroy()
      reject(error)
    }
    socket.once('error', fail)
    socket.once('timeout', () => fail(new Error('no answer to PING')))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (answer) => {
      // A server with a password asks for it: it is there, too.
      if (!/^(\+PONG|-NOAUTH)/.test(String(answer))) return fail(new Error(String(answer).trim()))
      socket.end()
      resolve()
    })
  })
}
