import { parseArguments, usage } from './arguments'
import { startEventStore } from './server'

/** One JSON line on stdout: `port` for whoever started this, the rest for people. */
function log(level: 'info' | 'error', message: string, facts: object = {}): void {
  process.stdout.write(
    `${JSON.stringify({ level, time: new Date().toISOString(), name: 'eventstore', ...facts, msg: message })}\n`,
  )
}

// Whoever read the log may be gone; the server is not to fall with them.
process.stdout.on('error', () => undefined)

async function main(): Promise<void> {
  const options = parseArguments(process.argv.slice(2))
  if ('fault' in options) {
    process.stderr.write(`${options.fault}\n${usage}\n`)
    process.exitCode = 2
    return
  }
  const store = await startEventStore({
    ...options,
    onFault: (error) => log('error', 'call failed', { error: error instanceof Error ? error.stack : String(error) }),
  })
  let closing = false
  const close = (signal: string) => {
    if (closing) return
    closing = true
    log('info', 'closing', { signal })
    store.close().then(
      () => {
        log('info', 'closed')
        process.exit(0)
      },
      (error: unknown) => {
        log('error', 'closing failed', { error: String(error) })
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', close)
  process.on('SIGINT', close)
  // Last: whoever reads this line may send a signal at once.
  log('info', 'development event store is ready: for development and tests only, without users and replication', {
    port: store.port,
    url: store.url,
    dataDirectory: options.dataDirectory,
  })
}

main().catch((error: unknown) => {
  log('error', error instanceof Error ? error.message : String(error))
  process.exit(1)
})
