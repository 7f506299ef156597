import { streamOf, type Principal } from '@annals/contracts'
import { HttpProblem } from '@annals/platform/api'
import type { EventLog } from '@annals/platform/event-log'

/**
 * Whether a session has ended, by the log itself: few people ask here, and nothing is more certain.
 * @throws HttpProblem `dependency-unavailable` when the log does not answer: nobody is let in then.
 */
export const createHasEnded =
  (eventLog: Pick<EventLog, 'lastOf'>) =>
  async ({ sessionId }: Principal): Promise<boolean> => {
    try {
      const last = await eventLog.lastOf(streamOf.session(sessionId))
      // A log that does not know the session was restored to an older copy: it has forgotten the end, if there was one.
      return last === undefined || last.type === 'session.ended'
    } catch (error) {
      throw new HttpProblem('dependency-unavailable', {
        detail: 'The event log does not answer, so nobody knows whether the session has ended.',
        headers: { 'retry-after': '2' },
        cause: error,
      })
    }
  }
