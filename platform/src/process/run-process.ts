import type { Logger } from 'pino'
import type { z } from 'zod'
import { ConfigError, readConfig, type ProcessFields } from '../config'
import { createLogger, endLog } from '../log'
import { createMetrics, type Registry } from '../metrics'
import { startTracing } from '../tracing'
import { createOperations, type Check } from './operations'
import { Scope } from './scope'

/** How long an orderly end may take before the process ends anyway; below the 30 s that Kubernetes grants. */
const shutdownMsMax = 20_000

/** For the last lines to be written: a pipe that is read takes them at once. */
const lastLinesMsMax = 1_000

export interface ProcessInput<Config> {
  /** In log lines, metrics and traces. */
  name: string
  /** One field per environment variable, `processFields` among them. */
  Config: Config
  /** `process.env`, handed in by a `main` file. */
  env: NodeJS.ProcessEnv
}

/** What every process is configured with. */
export type ProcessSettings = z.output<z.ZodObject<ProcessFields>>

export interface ProcessContext<Settings> {
  config: Settings
  log: Logger
  metrics: Registry
  /** Closes in reverse what is added to it. The operations server and tracing end after all of it. */
  scope: Scope
  /** Adds checks of dependencies to `/readyz`. */
  ready(checks: Record<string, Check>): void
  /** Adds checks of what it can do without, though worse: `/readyz` stays 200. */
  degraded(checks: Record<string, Check>): void
  /** The process cannot go on: it closes in order and ends with code 1. */
  fatal(error: unknown): void
  /** The process has done its work: it ends as after a signal. */
  finish(): void
}

/**
 * Runs a process, the same way for each: reads the configuration, opens log, tracing, metrics and the operations
 * server, then what `start` opens. It waits for SIGTERM, SIGINT, `finish` or `fatal` and closes in reverse order,
 * within 20 s. From the first moment `/healthz` answers; `/readyz` fails at `started` until `start` is done, and
 * again as soon as the process begins to end.
 *
 * Exit codes: 0 after a signal or `finish`. 1 when the configuration is wrong (printed as text to standard error),
 * when it could not start, met a fatal error, or did not end in time.
 */
export async function runProcess<Config extends z.ZodObject<ProcessFields>>(
  { name, Config, env }: ProcessInput<Config>,
  start: (context: ProcessContext<z.output<Config>>) => Promise<void>,
): Promise<never> {
  const config = configOrExit(Config, env)
  const { LOG_LEVEL, OPERATIONS_HOST, OPERATIONS_PORT, OTEL_EXPORTER_OTLP_ENDPOINT }: ProcessSettings = config
  const log = createLogger(name, LOG_LEVEL)
  const scope = new Scope(log)
  let isStarted = false
  let end = (_code: number) => undefined as void
  const ended = new Promise<number>((resolve) => (end = resolve))
  const finish = () => end(0)
  const fatal = (error: unknown) => {
    log.fatal({ err: error }, 'ends because of a fault')
    end(1)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping')
      finish()
    })
  }
  // A rejection that nobody handles arrives here too, unless a library's known flaw has been looked after elsewhere.
  process.on('uncaughtException', fatal)

  async function open(): Promise<void> {
    scope.add('tracing', await startTracing(name, OTEL_EXPORTER_OTLP_ENDPOINT), (stop) => stop())
    const metrics = createMetrics(name)
    const operations = createOperations(metrics)
    operations.ready({
      async started() {
        if (!isStarted) throw new Error('the process starts, or ends')
      },
    })
    scope.add('operations server', operations.app, (app) => app.close())
    await operations.app.listen({ host: OPERATIONS_HOST, port: OPERATIONS_PORT })
    const { ready, degraded } = operations
    await start({ config, log, metrics, scope, ready, degraded, fatal, finish })
    isStarted = true
    log.info('started')
  }
  open().catch(fatal)

  const code = await ended
  isStarted = false
  setTimeout(() => {
    log.error('did not end in time')
    void endLog(log, lastLinesMsMax).then(() => process.exit(1))
  }, shutdownMsMax).unref()
  await scope.close()
  log.info({ code }, 'stopped')
  await endLog(log, lastLinesMsMax)
  process.exit(code)
}

/** What a command gets that does one thing and ends. */
export type OnceContext<Settings> = Pick<ProcessContext<Settings>, 'config' | 'log' | 'scope'>

/**
 * The short form, for a command that does one thing and ends: reads the configuration, does it, and closes in reverse what it has
 * opened, whatever comes of it.
 * @param input `logLevel`: default the configuration's LOG_LEVEL, else `warn`.
 * @throws ConfigError; what `work` throws.
 */
export async function runOnce<Config extends z.ZodObject, Result>(
  { name, Config, env, logLevel }: ProcessInput<Config> & { logLevel?: string },
  work: (context: OnceContext<z.output<Config>>) => Promise<Result>,
): Promise<Result> {
  const config = readConfig(Config, env)
  const { LOG_LEVEL } = config as { LOG_LEVEL?: string }
  const log = createLogger(name, logLevel ?? LOG_LEVEL ?? 'warn')
  const scope = new Scope(log)
  try {
    return await work({ config, log, scope })
  } finally {
    await scope.close()
    await endLog(log, lastLinesMsMax)
  }
}

function configOrExit<Config extends z.ZodObject>(Config: Config, env: NodeJS.ProcessEnv): z.output<Config> {
  try {
    return readConfig(Config, env)
  } catch (error) {
    if (error instanceof ConfigError) exitWithMessage(error)
    throw error
  }
}

/** Prints what is wrong as a person wants to read it, and ends the process with code 1. */
export function exitWithMessage(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
