import { once, type EventEmitter } from 'node:events'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { pino, stdSerializers, symbols, type DestinationStream, type Logger } from 'pino'

export type { Logger } from 'pino'

/** Fields that hold secrets or personal data wherever they turn up: their values never reach a log line. */
const redacted = [
  'password',
  'passwordHash',
  'email',
  'name',
  'authorization',
  'refreshToken',
  'accessToken',
  'token',
  'cookie',
]

/** An error's own `name` says what its `type` says, and would stand there redacted as a person's. */
function withoutName(error: Error): unknown {
  const serialized: object = stdSerializers.err(error)
  // What is no error comes back as it is.
  if (serialized === error) return error
  const { name: _, ...said } = serialized as { name?: unknown }
  return said
}

/** Lines that wait for a reader who has stopped reading; beyond it they are dropped rather than kept without end. */
const waitingCharsMax = 16 * 1024 * 1024

/**
 * JSON lines on standard output. Every line carries the service, and inside a span its trace id.
 * @param destination for tests; standard output otherwise.
 */
export function createLogger(service: string, level: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: withoutName },
      redact: { paths: redacted.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]), censor: '[redacted]' },
      mixin: () => {
        const span = trace.getActiveSpan()?.spanContext()
        return span && isSpanContextValid(span) ? { traceId: span.traceId, spanId: span.spanId } : {}
      },
    },
    destination ?? pino.destination({ sync: false, minLength: 0, maxLength: waitingCharsMax }),
  )
}

/** What pino writes to, as far as it is needed here. */
type Destination = EventEmitter & { write(line: string): unknown; end(): void; flushSync?: () => void }

/**
 * Ends the log: waits until everything has been written, and gives up on a reader that is gone or has stopped reading. What is
 * logged afterwards is dropped. Without this the destination's last flush, at the process's end, tries for ever what can not be
 * written.
 * @param withinMs bound of the wait.
 */
export async function endLog(log: Logger, withinMs: number): Promise<void> {
  const destination = (log as unknown as Record<symbol, Destination>)[symbols.streamSym]
  if (!destination?.flushSync) return
  const signal = AbortSignal.timeout(withinMs)
  const closed = once(destination, 'close', { signal }).catch(() => undefined)
  destination.end()
  destination.write = () => true
  await closed
  destination.flushSync = () => undefined
}
