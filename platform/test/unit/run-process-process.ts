import { z } from 'zod'
import { field, processFields } from '@annals/platform/config'
import { runProcess } from '@annals/platform/process'

/**
 * A process as every service is one: `run-process-process <how>`. It opens three things, one of which fails to close, and says on
 * its log what is closed. While it is starting it waits for SIGUSR2.
 */
const Config = z.object({ ...processFields(0), SECRET: field.key256(), URL: field.url('postgres') })
const how = process.argv[2]

void runProcess({ name: 'test-service', Config, env: process.env }, async (context) => {
  const { log, scope, ready, fatal, finish } = context
  const closing = (name: string) => async () => {
    await new Promise((resolve) => setImmediate(resolve))
    log.info({ resource: name }, 'closed')
  }
  scope.add('first', 1, closing('first'))
  scope.add('second', 2, () => Promise.reject(new Error('stuck')))
  scope.add('third', 3, closing('third'))
  // Keeps the process alive, as a connection does.
  scope.add(
    'connection',
    setInterval(() => undefined, 1_000),
    clearInterval,
  )
  let isWell = true
  process.on('SIGUSR1', () => (isWell = !isWell))
  ready({
    async dependency() {
      if (!isWell) throw new Error('gone')
    },
  })
  await new Promise<void>((resolve) => {
    process.once('SIGUSR2', resolve)
    log.info('waits')
  })
  if (how === 'cannot-start') throw new Error('no such server')
  if (how === 'fatal') setImmediate(fatal, new Error('the partition is gone'))
  if (how === 'throws') setImmediate(() => Promise.reject(new Error('nobody handles it')))
  if (how === 'finishes') setImmediate(finish)
})
