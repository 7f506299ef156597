export {
  createEventLog,
  type Appended,
  type EventLog,
  type LogExtent,
  type LogEvent,
  type LogSubscription,
  type NewLogEvent,
} from './event-log'
export { eventsOfMessages, packMessages } from './event-message'
export { eventLogDeadlines, type EventLogDeadlines } from './deadlines'
export { appendErrorKind, errorCode, LogChanged, StreamDeleted, UnknownAppendOutcome } from './errors'
