import { z } from 'zod'
import { SessionId, UserId } from '../ids'
import { recordedText, writtenText, type TextForm } from '../text'
import { writtenTime } from '../time'
import { defineEvent } from './definition'

/** What a login is told apart by; cut where it is longer. */
export const userAgentForm: TextForm = { max: 400 }
/** An IPv6 address with an IPv4 tail has 45 characters. */
const ipForm: TextForm = { max: 64 }

/** A session begins. The name is the product's first; its siblings follow the usual form. */
export const UserLoggedIn = defineEvent({
  type: 'user.login',
  version: 1,
  subject: 'userId',
  personal: ['ip', 'userAgent'],
  data: z.object({
    sessionId: SessionId,
    userId: UserId,
    method: z.enum(['password']),
    ip: z.string().max(64).nullable(),
    userAgent: recordedText(userAgentForm).nullable(),
    /** ISO 8601, UTC: no refresh is accepted after it. */
    expiresAt: z.iso.datetime(),
  }),
  written: {
    ip: writtenText(ipForm).nullable(),
    userAgent: writtenText(userAgentForm).nullable(),
    expiresAt: writtenTime,
  },
})

export const SessionRefreshed = defineEvent({
  type: 'session.refreshed',
  version: 1,
  data: z.object({
    sessionId: SessionId,
    userId: UserId,
    /** Number of the refresh token that is valid from now on; a login hands out number 1. */
    generation: z.int().min(2),
  }),
})

export const SessionEndReason = z.enum(['logout', 'refresh-token-reused'])
export type SessionEndReason = z.infer<typeof SessionEndReason>

/** The session is over: its refresh token is refused, and so are its access tokens where revocation is checked. */
export const SessionEnded = defineEvent({
  type: 'session.ended',
  version: 1,
  data: z.object({ sessionId: SessionId, userId: UserId, reason: SessionEndReason }),
})
