import { decodeAll, streamOf, type AnnalsEvent, type EventType, type Principal } from '@annals/contracts'
import type { Verdict } from '@annals/platform/access-tokens'
import { HttpProblem } from '@annals/platform/api'
import type { EventLog } from '@annals/platform/event-log'
import { judge, type Standing } from '@annals/platform/revocation'

/** What an account is before its first event: a log that does not know it was restored to an older copy. */
const nobody: Standing = { isActive: false, epoch: 0, exceptSessionId: null, roles: [] }

/** What an account says to the tokens of its sessions, by its events. */
export function standingAfter(standing: Standing, event: AnnalsEvent<EventType>): Standing {
  switch (event.type) {
    case 'user.registered':
      return { isActive: true, epoch: 1, exceptSessionId: null, roles: event.data.roles }
    case 'user.password_changed':
    case 'user.sessions_ended':
      return { ...standing, epoch: event.data.epoch, exceptSessionId: event.data.exceptSessionId }
    case 'user.disabled':
    case 'user.erased':
      return { ...standing, isActive: false, epoch: event.data.epoch, exceptSessionId: null }
    case 'user.enabled':
      return { ...standing, isActive: true }
    case 'user.role_granted':
      return { ...standing, roles: [...standing.roles.filter((role) => role !== event.data.role), event.data.role] }
    case 'user.role_revoked':
      return { ...standing, roles: standing.roles.filter((role) => role !== event.data.role) }
    default:
      return standing
  }
}

/** By the rules of its decider an account has far fewer events. */
const eventsMax = 1_000

/**
 * What is said to a token within its time, by the log itself: few people ask here, and nothing is more certain.
 * @throws HttpProblem `dependency-unavailable` when the log does not answer: nobody is let in then.
 */
export const createVerdictOn = (eventLog: Pick<EventLog, 'lastOf' | 'readStream'>) => {
  async function standingOf(userId: string): Promise<Standing> {
    const recorded = await eventLog.readStream(streamOf.user(userId), 0, eventsMax)
    // What is personal stays closed: it says nothing here.
    const decoded = await decodeAll(recorded, async (parts) => parts.map(() => null))
    return decoded.reduce((standing, result) => {
      if (result.kind !== 'event') throw new Error(`an event of user ${userId} can not be read: ${result.kind}`)
      return standingAfter(standing, result.event)
    }, nobody)
  }

  return async (principal: Principal): Promise<Verdict> => {
    const { sessionId, userId } = principal
    try {
      const [last, standing] = await Promise.all([eventLog.lastOf(streamOf.session(sessionId)), standingOf(userId)])
      // A log that does not know the session was restored to an older copy: it has forgotten the end, if there was one.
      if (last === undefined || last.type === 'session.ended') return 'ended'
      return judge(principal, standing)
    } catch (error) {
      throw new HttpProblem('dependency-unavailable', {
        detail: 'The event log does not answer, so nobody knows whether the session has ended.',
        headers: { 'retry-after': '2' },
        cause: error,
      })
    }
  }
}
