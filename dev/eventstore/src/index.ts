export { startEventStore } from './server'
export type { EventStore, EventStoreOptions } from './server'
