import { createServer } from 'node:http'
import { runProcess } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'

/** A process that serves and writes log lines without end: what a service does, and no more. */
const log = createLogger('test', 'info')
void runProcess(log, async (scope) => {
  const server = createServer().listen(0, '127.0.0.1')
  scope.add('server', server, () => new Promise((resolve) => server.close(resolve)))
  if (process.argv[2] === 'quiet') return
  // Some 10 kB each: more than a pipe holds soon waits for its reader.
  const talk = setInterval(() => log.info({ text: 'x'.repeat(10_000) }, 'talking'), 20)
  scope.add('talk', talk, clearInterval)
})
