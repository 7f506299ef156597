import { streamOf, type AuthenticationMethod, type Role, type SessionId, type UserId } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import type { PermissionsOf } from '../accounts/role-permissions'
import { unborn, type Execute } from '../core/execute'
import type { AccessTokens } from './access-tokens'
import { begin, sessionDecider } from './domain/session'
import type { RefreshTokens } from './refresh-tokens'

/** What a client holds after a login or a refresh. */
export interface Tokens {
  accessToken: string
  refreshToken: string
  /** Seconds. */
  expiresIn: number
  sessionId: SessionId
  userId: UserId
  /** Of the session's stream. */
  revision: number
  position: bigint
}

/** A session as it stands, of which tokens are handed out. */
export interface TokenSubject {
  sessionId: SessionId
  userId: UserId
  roles: readonly Role[]
  epoch: number
  /** ISO 8601. */
  authenticatedAt: string
  /** Number of the refresh token that is valid. */
  generation: number
  revision: number
  position: bigint
}

export type IssueTokens = (subject: TokenSubject) => Promise<Tokens>

export interface IssueDeps {
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  permissionsOf: PermissionsOf
}

/** Tokens of a session, with permissions as its roles give them now. */
export const createIssueTokens =
  ({ accessTokens, refreshTokens, permissionsOf }: IssueDeps): IssueTokens =>
  async ({ sessionId, userId, roles, epoch, authenticatedAt, generation, revision, position }) => ({
    accessToken: await accessTokens.issue({
      userId,
      sessionId,
      roles,
      permissions: await permissionsOf(roles),
      epoch,
      authenticatedAt: Math.floor(Date.parse(authenticatedAt) / 1000),
    }),
    refreshToken: refreshTokens.issue(sessionId, generation),
    expiresIn: accessTokens.lifeSeconds,
    sessionId,
    userId,
    revision,
    position,
  })

/** Who has shown who they are, and how. */
export interface Authenticated {
  userId: UserId
  roles: readonly Role[]
  /** Of the account when it was shown; a session of a former epoch is over before it begins. */
  epoch: number
  methods: AuthenticationMethod[]
  ip: string
  userAgent: string | null
  correlationId: string
}

/** Begins a session for somebody who has shown who they are, and hands out its first tokens. */
export type OpenSession = (authenticated: Authenticated) => Promise<Tokens>

export interface OpenSessionDeps {
  execute: Execute
  issueTokens: IssueTokens
  now: () => string
  /** Life of a session in seconds: after it somebody has to show again who they are. */
  sessionSeconds: number
}

export const createOpenSession =
  ({ execute, issueTokens, now, sessionSeconds }: OpenSessionDeps): OpenSession =>
  async ({ userId, roles, epoch, methods, ip, userAgent, correlationId }) => {
    const sessionId = newId()
    const commandId = newId()
    const occurredAt = now()
    const expiresAt = new Date(Date.parse(occurredAt) + sessionSeconds * 1000).toISOString()
    const { revision, position } = await execute(sessionDecider, {
      stream: streamOf.session(sessionId),
      context: { commandId, correlationId, causationId: commandId, actor: { type: 'user', id: userId }, occurredAt },
      decide: begin({ sessionId, userId, methods, epoch, ip, userAgent, expiresAt }),
      known: unborn(sessionDecider),
    })
    const authenticatedAt = occurredAt
    return issueTokens({ sessionId, userId, roles, epoch, authenticatedAt, generation: 1, revision, position })
  }
