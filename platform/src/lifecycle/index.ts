import type { Logger } from 'pino'
import { endLog } from '../log'

/** What a process has opened. Closed in reverse order, each once, one after the other. */
export class Scope {
  readonly #closers: { name: string; close: () => unknown }[] = []
  #closing: Promise<void> | undefined

  constructor(private readonly log: Logger) {}

  /** Keeps a resource until the scope closes. */
  add<Resource>(name: string, resource: Resource, close: (resource: Resource) => unknown): Resource {
    this.#closers.push({ name, close: () => close(resource) })
    return resource
  }

  /** Never throws: what fails to close is logged, and the rest is closed all the same. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const { name, close } of this.#closers.reverse()) {
        try {
          await close()
        } catch (error) {
          this.log.warn({ err: error, resource: name }, 'could not be closed')
        }
      }
    })()
    return this.#closing
  }
}

/** How long an orderly end may take before the process ends anyway; below the 30 s that Kubernetes grants. */
const shutdownMsMax = 20_000

/** For the last lines to be written: a pipe that is read takes them at once. */
const lastLinesMsMax = 1_000

/**
 * Runs a process: opens through `start`, waits for SIGTERM or SIGINT or for `fatal`, closes in reverse order.
 * Exit codes: 0 after a signal, 1 when it could not start or met a fatal error.
 */
export async function runProcess(
  log: Logger,
  start: (scope: Scope, fatal: (error: unknown) => void) => Promise<void>,
): Promise<never> {
  const scope = new Scope(log)
  const ended = new Promise<number>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        log.info({ signal }, 'stopping')
        resolve(0)
      })
    }
    const fatal = (error: unknown) => {
      log.fatal({ err: error }, 'ends because of a fault')
      resolve(1)
    }
    // A rejection that nobody handles arrives here too, unless a library's known flaw has been looked after elsewhere.
    process.on('uncaughtException', fatal)
    start(scope, fatal).then(
      () => log.info('started'),
      (error) => fatal(error),
    )
  })
  const code = await ended
  setTimeout(() => {
    log.error('did not end in time')
    void endLog(log, lastLinesMsMax).then(() => process.exit(1))
  }, shutdownMsMax).unref()
  await scope.close()
  log.info({ code }, 'stopped')
  await endLog(log, lastLinesMsMax)
  process.exit(code)
}

/** Prints a fault of the configuration as a person wants to read it, and ends the process. */
export function exitWithMessage(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
