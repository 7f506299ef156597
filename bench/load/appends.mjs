/** The bare official client: appends of one event, each to a new stream, many at once. */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { closedLoop } from './pace.mjs'
import { serve } from './serve.mjs'

const { EventStoreDBClient, jsonEvent, NO_STREAM } = createRequire(import.meta.url)('@eventstore/db-client')

let client
serve({
  async connect({ url }) {
    client = EventStoreDBClient.connectionString(url)
  },

  /** `event`: type, data and metadata of what is appended; `category`: what the streams' names begin with. */
  run: ({ event, category, concurrency, forMs }) =>
    closedLoop(concurrency, forMs, async () => {
      const fresh = jsonEvent({ ...event, id: randomUUID() })
      await client.appendToStream(`${category}-${randomUUID()}`, fresh, { expectedRevision: NO_STREAM })
    }),

  close: () => client.dispose(),
})
