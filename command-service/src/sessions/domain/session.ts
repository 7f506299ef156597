import type { AuthenticationMethod, NewEvent, SessionEndReason, SessionId, UserId } from '@annals/contracts'
import type { Decider, Past } from '../../core/decider'
import { Rejected } from '../../core/rejected'

type SessionEventType = 'user.login' | 'session.refreshed' | 'session.stepped_up' | 'session.ended'

export type Session =
  | { status: 'none' }
  | {
      status: 'active'
      sessionId: SessionId
      userId: UserId
      /** Number of the refresh token that is valid. */
      generation: number
      /** ISO 8601: when that token was handed out. */
      issuedAt: string
      /** ISO 8601: the login. */
      beganAt: string
      /** ISO 8601: when its bearer last showed who they are. */
      authenticatedAt: string
      /** The epoch of the account in which it began. */
      epoch: number
      /** ISO 8601: no refresh is accepted from then on. */
      expiresAt: string
    }
  | { status: 'ended'; userId: UserId; reason: SessionEndReason }

const initial: Session = { status: 'none' }

function evolve(session: Session, event: Past<SessionEventType>): Session {
  switch (event.type) {
    case 'user.login': {
      const { sessionId, userId, epoch, expiresAt } = event.data
      const { at } = event
      const begun = { sessionId, userId, epoch, generation: 1, issuedAt: at, beganAt: at, authenticatedAt: at }
      return { status: 'active', ...begun, expiresAt }
    }
    case 'session.refreshed': {
      if (session.status !== 'active') return session
      const { generation, authenticatedAt } = event.data
      return { ...session, generation, issuedAt: event.at, authenticatedAt: authenticatedAt ?? session.beganAt }
    }
    case 'session.stepped_up': {
      if (session.status !== 'active') return session
      const { generation, issuedAt } = event.data
      return { ...session, generation, issuedAt, authenticatedAt: event.at }
    }
    case 'session.ended':
      return { status: 'ended', userId: event.data.userId, reason: event.data.reason }
  }
}

/** The login says whose the session is, the last event what has become of it: those between say nothing more. */
export const sessionDecider: Decider<Session, SessionEventType> = {
  category: 'session',
  reads: 'first-and-last',
  initial,
  evolve,
}

export interface Begin {
  sessionId: SessionId
  userId: UserId
  methods: AuthenticationMethod[]
  /** The epoch of the account when it was shown who they are. */
  epoch: number
  ip: string | null
  userAgent: string | null
  expiresAt: string
}

export const begin =
  (input: Begin) =>
  (session: Session): NewEvent<'user.login'>[] => {
    switch (session.status) {
      case 'none':
        return [{ type: 'user.login', data: input }]
      case 'active':
      case 'ended':
        return []
    }
  }

/**
 * The token of the generation before is answered once more within so many ms: the answer to its first use may have been
 * lost on the way. Long enough for a client's retry, short for a thief.
 */
export const refreshGraceMs = 10_000

/**
 * This many refreshes may follow each other at any speed, as with a client that restarts again and again. Beyond them
 * a session gets one more each minute. A minute is the shortest life that an access token can have. That bounds its
 * events: some 43,000 in the 30 days of a session, however often it is refreshed.
 */
export const refreshBurst = 30
export const refreshEveryMs = 60_000

/** Whether a session has had as many refreshes as its age allows. */
const isSpent = (generation: number, beganAt: string, at: string): boolean =>
  generation - 1 >= refreshBurst + Math.max(0, Math.floor((Date.parse(at) - Date.parse(beganAt)) / refreshEveryMs))

export interface Refresh {
  /** Number of the refresh token that was shown. */
  generation: number
  /** ISO 8601: now. */
  at: string
}

/**
 * The token in force brings the next one; one used before means that two hold it, and ends the session for both. A session that
 * is refreshed too often keeps its token: nothing is recorded, and the refresh is answered with the token that was shown.
 */
export const refresh =
  ({ generation, at }: Refresh) =>
  (session: Session): NewEvent<'session.refreshed' | 'session.ended'>[] => {
    switch (session.status) {
      case 'none':
        throw new Rejected('invalid-refresh-token')
      case 'ended':
        throw new Rejected('session-ended')
      case 'active': {
        const { sessionId, userId } = session
        if (generation > session.generation) throw new Rejected('invalid-refresh-token')
        if (at >= session.expiresAt) throw new Rejected('session-ended')
        if (generation === session.generation) {
          if (isSpent(generation, session.beganAt, at)) return []
          const { authenticatedAt } = session
          return [
            { type: 'session.refreshed', data: { sessionId, userId, generation: generation + 1, authenticatedAt } },
          ]
        }
        const sinceMs = Date.parse(at) - Date.parse(session.issuedAt)
        if (generation === session.generation - 1 && sinceMs <= refreshGraceMs) return []
        return [{ type: 'session.ended', data: { sessionId, userId, reason: 'refresh-token-reused' } }]
      }
    }
  }

/** A session ends once, for the reason that came first. */
export const end =
  ({ reason }: { reason: SessionEndReason }) =>
  (session: Session): NewEvent<'session.ended'>[] => {
    switch (session.status) {
      case 'none':
        throw new Rejected('session-ended')
      case 'active': {
        const { sessionId, userId } = session
        return [{ type: 'session.ended', data: { sessionId, userId, reason } }]
      }
      case 'ended':
        return []
    }
  }

/** An owner ends one of their own sessions; to everybody else it is none. */
export const endOwn =
  ({ userId }: { userId: UserId }) =>
  (session: Session): NewEvent<'session.ended'>[] => {
    if (session.status === 'none' || session.userId !== userId) throw new Rejected('session-not-found')
    return end({ reason: 'owner' })(session)
  }

export interface StepUp {
  methods: AuthenticationMethod[]
}

/** The bearer has shown again who they are. How often is bounded by what a password or a code may be tried. */
export const stepUp =
  ({ methods }: StepUp) =>
  (session: Session): NewEvent<'session.stepped_up'>[] => {
    switch (session.status) {
      case 'none':
      case 'ended':
        throw new Rejected('session-ended')
      case 'active': {
        const { sessionId, userId, generation, issuedAt } = session
        return [{ type: 'session.stepped_up', data: { sessionId, userId, methods, generation, issuedAt } }]
      }
    }
  }
