import type { FastifyBaseLogger } from 'fastify'

type Bindings = Parameters<FastifyBaseLogger['child']>[0]
type ChildOptions = Parameters<FastifyBaseLogger['child']>[1]

/** What fastify and its plugins write with. */
const methods = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent', 'child'] as const

/**
 * The log of one request, made when somebody writes to it: few requests have anything to say beside the line that each has, and what
 * a log is made with has to pass redaction.
 */
class RequestLog {
  #log: FastifyBaseLogger | undefined

  constructor(
    private readonly parent: FastifyBaseLogger,
    private readonly bindings: Bindings,
    private readonly options: ChildOptions,
  ) {}

  get log(): FastifyBaseLogger {
    return (this.#log ??= this.parent.child(this.bindings, this.options))
  }

  get level(): string {
    return this.log.level
  }
}

for (const method of methods) {
  Object.defineProperty(RequestLog.prototype, method, {
    value(this: RequestLog, ...said: unknown[]): unknown {
      return (this.log[method] as (...said: unknown[]) => unknown)(...said)
    },
  })
}

/** For fastify's `childLoggerFactory`. */
export const requestLogOf = (parent: FastifyBaseLogger, bindings: Bindings, options: ChildOptions): FastifyBaseLogger =>
  new RequestLog(parent, bindings, options) as unknown as FastifyBaseLogger
