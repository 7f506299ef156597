import { rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { checkLoggedOut } from '../check-sessions.mjs'

const answerMsMax = 5_000

/** @type {import('./steps.mjs').Step} */
export const redisFlushed = {
  says: 'Redis is emptied',
  async setBack({ env, urls, load, findings }) {
    await flush(env.REDIS_URL)
    await checkLoggedOut(urls, load, findings, { mayWait: true })
  },
}

/** @type {import('./steps.mjs').Step} */
export const redisRestarted = {
  says: 'Redis is started again without its data',
  async setBack({ stack, urls, load, findings }) {
    await stack.kill('redis', 'SIGKILL')
    rmSync(join(stack.profile.data, 'redis'), { recursive: true, force: true })
    await stack.restart('redis')
    await checkLoggedOut(urls, load, findings, { mayWait: true })
  },
}

/** @param {string} url */
function flush(url) {
  const { hostname, port } = new URL(url)
  return new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
    const socket = createConnection({ host: hostname, port: Number(port), timeout: answerMsMax })
    socket.once('error', reject)
    socket.once('timeout', () => socket.destroy(new Error('Redis does not answer')))
    socket.once('connect', () => socket.write('FLUSHALL\r\n'))
    socket.once('data', (answer) => {
      socket.destroy()
      if (String(answer).startsWith('+OK')) resolve()
      else reject(new Error(String(answer).trim()))
    })
  })
}
