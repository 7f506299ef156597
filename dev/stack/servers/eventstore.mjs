import { existsSync } from 'node:fs'
import http2 from 'node:http2'
import { join } from 'node:path'
import { logOf } from '../processes.mjs'
import { root } from '../../profile.mjs'
import { run } from '../../install/tools.mjs'

const folder = join(root, 'dev/eventstore')
const program = join(folder, 'dist/main.js')

/** @type {import('../native.mjs').Server} */
export const eventstoreServer = {
  name: 'eventstore',
  title: 'Event store (dev)',
  ports: ['eventstore'],
  readyWithinMs: 60_000,
  async prepare({ profile, say, built }) {
    if (built) return void (await built)
    if (!existsSync(program)) say('building')
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, '-b', folder], {
      log: logOf(profile, 'eventstore-build'),
      what: 'Building dev/eventstore',
      remedy: 'mend what the compiler names.',
      timeoutMs: 120_000,
    })
  },
  async launch({ profile }) {
    const data = join(profile.data, 'eventstore')
    const args = ['--port', String(profile.ports.eventstore), '--data', data]
    return { name: 'eventstore', command: process.execPath, args: [program, ...args] }
  },
  ready: ({ profile }) => answersHttp2(profile.ports.eventstore),
}

/** gRPC is HTTP/2: a server that has sent its settings serves calls. It listens only after its log was opened and checked. */
function answersHttp2(port) {
  return new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const timer = setTimeout(() => session.destroy(new Error('no answer')), 1_000)
    session.once('error', reject)
    session.once('close', () => clearTimeout(timer))
    session.once('remoteSettings', () => {
      session.close()
      resolve()
    })
  })
}
