import { createServer } from 'node:http'
import { z } from 'zod'
import { processFields } from '@annals/platform/config'
import { runProcess } from '@annals/platform/process'

/** A process that serves and writes log lines without end: what a service does, and no more. */
const Config = z.object(processFields(0))
void runProcess({ name: 'test', Config, env: { OPERATIONS_PORT: '0' } }, async ({ log, scope }) => {
  const server = createServer().listen(0, '127.0.0.1')
  scope.add('server', server, () => new Promise((resolve) => server.close(resolve)))
  if (process.argv[2] === 'quiet') return
  // Some 10 kB each: more than a pipe holds soon waits for its reader.
  const talk = setInterval(() => log.info({ text: 'x'.repeat(10_000) }, 'talking'), 20)
  scope.add('talk', talk, clearInterval)
})
