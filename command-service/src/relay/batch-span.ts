import { inSpan, SpanKind } from '@annals/platform/tracing'
import type { Batch } from './event-queue'

/**
 * Publishes a batch in a span of its own. It continues no trace, since its events belong to many: it links to theirs. Each
 * record keeps the `traceparent` of its command, so what reads it goes on with that trace.
 */
export const inBatchSpan = (batch: Batch, publish: () => Promise<void>): Promise<void> =>
  inSpan(
    {
      name: 'publish batch',
      kind: SpanKind.PRODUCER,
      handles: batch.records.map(({ headers }) => headers['ce_traceparent']),
      attributes: {
        'messaging.system': 'kafka',
        'messaging.batch.message_count': batch.records.length,
        'annals.log.position': String(batch.position),
      },
    },
    publish,
  )
