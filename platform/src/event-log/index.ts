export {
  createEventLog,
  type Appended,
  type EventLog,
  type LogEvent,
  type LogSubscription,
  type NewLogEvent,
} from './event-log'
export { appendErrorKind, errorCode, LogChanged, StreamDeleted, UnknownAppendOutcome } from './errors'
