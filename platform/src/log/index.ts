import { isSpanContextValid, trace } from '@opentelemetry/api'
import { pino, type DestinationStream, type Logger } from 'pino'

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
      redact: { paths: redacted.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]), censor: '[redacted]' },
      mixin: () => {
        const span = trace.getActiveSpan()?.spanContext()
        return span && isSpanContextValid(span) ? { traceId: span.traceId, spanId: span.spanId } : {}
      },
    },
    destination ?? pino.destination({ sync: false, minLength: 0 }),
  )
}
