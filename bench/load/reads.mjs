/** The bare official client: reads the whole log and counts, which is the least that a rebuild has to do. */
import { createRequire } from 'node:module'
import { serve } from './serve.mjs'

const { EventStoreDBClient, START } = createRequire(import.meta.url)('@eventstore/db-client')

let client
serve({
  async connect({ url }) {
    client = EventStoreDBClient.connectionString(url)
  },

  /** @returns events of ours in the log, and how many a second were read; the server's own count for neither */
  async run() {
    const begunAt = performance.now()
    let events = 0
    for await (const { event } of client.readAll({ fromPosition: START })) {
      if (event && !event.streamId.startsWith('$')) events += 1
    }
    return { events, perSecond: (events / (performance.now() - begunAt)) * 1000 }
  },

  close: () => client.dispose(),
})
