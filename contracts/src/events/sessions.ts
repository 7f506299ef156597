import { z } from 'zod'
import { SessionId, UserId } from '../ids'
import { recordedText, writtenText, type TextForm } from '../text'
import { writtenTime } from '../time'
import { SecurityEpoch } from './accounts'
import { defineEvent } from './definition'

/** What a login is told apart by; cut where it is longer. */
export const userAgentForm: TextForm = { max: 400 }
/** An IPv6 address with an IPv4 tail has 45 characters. */
const ipForm: TextForm = { max: 64 }

/** How somebody showed who they are, in the order in which they did. */
export const AuthenticationMethod = z.enum([
  'password',
  'registration',
  'external',
  'passkey',
  'totp',
  'sms',
  'email',
  'recovery-code',
])
export type AuthenticationMethod = z.infer<typeof AuthenticationMethod>

/** A session begins. The name is the product's first; its siblings follow the usual form. */
export const UserLoggedIn = defineEvent({
  type: 'user.login',
  version: 2,
  subject: 'userId',
  personal: ['ip', 'userAgent'],
  data: z.object({
    sessionId: SessionId,
    userId: UserId,
    methods: z.array(AuthenticationMethod).min(1).max(4),
    /** The epoch of the account when it was shown; see {@link SecurityEpoch}. */
    epoch: SecurityEpoch,
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
  // v1 knew passwords alone, and accounts whose first epoch was the only one.
  upcast: { 1: ({ method, ...rest }) => ({ ...rest, methods: [method], epoch: 1 }) },
})

export const SessionRefreshed = defineEvent({
  type: 'session.refreshed',
  version: 2,
  data: z.object({
    sessionId: SessionId,
    userId: UserId,
    /** Number of the refresh token that is valid from now on; a login hands out number 1. */
    generation: z.int().min(2),
    /** ISO 8601, UTC: when its bearer last showed who they are; `null`: at the login. Carried on, since only the last event is read. */
    authenticatedAt: z.iso.datetime().nullable(),
  }),
  written: { authenticatedAt: writtenTime.nullable() },
  upcast: { 1: (data) => ({ ...data, authenticatedAt: null }) },
})

/** The bearer of a session showed again who they are. */
export const SessionSteppedUp = defineEvent({
  type: 'session.stepped_up',
  version: 1,
  data: z.object({
    sessionId: SessionId,
    userId: UserId,
    methods: z.array(AuthenticationMethod).min(1).max(4),
    /** Of the refresh token in force, and when it was handed out: carried on, since only the last event is read. */
    generation: z.int().min(1),
    issuedAt: z.iso.datetime(),
  }),
  written: { issuedAt: writtenTime },
})

export const SessionEndReason = z.enum(['logout', 'refresh-token-reused', 'owner', 'administrator', 'epoch'])
export type SessionEndReason = z.infer<typeof SessionEndReason>

/** The session is over: its refresh token is refused, and so are its access tokens where revocation is checked. */
export const SessionEnded = defineEvent({
  type: 'session.ended',
  version: 2,
  data: z.object({ sessionId: SessionId, userId: UserId, reason: SessionEndReason }),
  // v1 knew two reasons.
  upcast: { 1: (data) => data },
})
