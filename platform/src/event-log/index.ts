export {
  createEventLog,
  type Appended,
  type EventLog,
  type LogEvent,
  type LogSubscription,
  type NewLogEvent,
} from './event-log'
export { eventLogDeadlines, type EventLogDeadlines } from './deadlines'
export { appendErrorKind, errorCode, LogChanged, StreamDeleted, UnknownAppendOutcome } from './errors'
