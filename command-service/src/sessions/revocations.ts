import { streamOf, topics, type Principal, type UserId } from '@annals/contracts'
import type { Verdict } from '@annals/platform/access-tokens'
import { StreamDeleted, type EventLog, type LogEvent } from '@annals/platform/event-log'
import { newId } from '@annals/platform/ids'
import type { Logger } from '@annals/platform/log'
import type { Redis } from '@annals/platform/redis'
import { createRevocationMarks, judge, type Mark, type MarkSubject, type Standing } from '@annals/platform/revocation'
import type { Person } from '../accounts/domain/person'
import { isRegistered, userDecider, type User } from '../accounts/domain/user'
import type { ClaimsOnlyPermitted } from '../accounts/role-permissions'
import { sessionDecider, type Session } from './domain/session'
import type { Change, ChangeWatch, Execute } from '../core/execute'
import { UnreadableStream } from '../core/faults'

/**
 * Which tokens are not good any more though they are within their time. It watches every change that is recorded, so that no
 * command has to think of it.
 */
export interface Revocations extends ChangeWatch {
  /** @throws DependencyUnavailable when neither Redis nor the log answers. */
  verdictOn(principal: Principal): Promise<Verdict>
  /** Changes that Redis has not taken yet. */
  readonly pending: number
  close(): void
}

export interface RevocationDeps {
  redis: Redis
  load: Execute['load']
  claimsOnlyPermitted: ClaimsOnlyPermitted
  eventLog: Pick<EventLog, 'recent'>
  log: Logger
  /** How long a mark lasts, in ms: after it nothing needs to be known about a session. */
  markMs: number
  /** Redis was asked and did not answer. */
  onSkipped: () => void
  /** Whether Redis is told again of all recent changes at the start, and when it comes back. Default: yes. */
  tellsAgain?: boolean
}

/** Changes that came while Redis was away: a minute of many logouts. Beyond it the log is asked only while Redis is away. */
const pendingMax = 10_000
const retryMs = 1_000
/**
 * Events that are read to tell an emptied Redis what has changed: some seconds of work. Where the life of a token holds
 * more, the log is asked once for each token until Redis' memory is as old as a token can be.
 */
const recentEventsMax = 100_000
/** Accounts read at once for that. */
const accountsAtOnce = 20

/** Facts about accounts that say nothing to tokens handed out before. All others are looked at. */
const silentTypes = new Set([
  'user.registered',
  'user.email_proved',
  'user.email_changed',
  'user.profile_changed',
  'user.phone_changed',
  'user.consent_given',
  'user.consent_withdrawn',
])

/** What an account says to the tokens of its sessions. */
export const standingOf = (user: User): Standing =>
  isRegistered(user)
    ? {
        isActive: user.status === 'active',
        epoch: user.epoch,
        exceptSessionId: user.exceptSessionId,
        roles: user.roles,
      }
    : { isActive: false, epoch: 0, exceptSessionId: null, roles: [] }

const idOf = (stream: string) => stream.slice(stream.indexOf('-') + 1)

/** An account's stream is folded alone, or together with what is personal about its owner. */
const accountIn = (state: User | Person): User => ('user' in state ? state.user : state)

/** What somebody who holds a token must learn of a change; `undefined`: nothing. */
function markOf({ category, stream, before, after }: Change): ((at: number, revision: number) => Mark) | undefined {
  const id = idOf(stream)
  if (category === sessionDecider.category) {
    const [former, present] = [before as Session, after as Session]
    const ends = present.status === 'ended' && former.status !== 'ended'
    return ends ? (at) => ({ about: 'session', id, at }) : undefined
  }
  if (category !== userDecider.category) return undefined
  const [former, present] = [accountIn(before as User | Person), accountIn(after as User | Person)]
  if (former.status === 'none') return undefined
  const standing = standingOf(present)
  if (JSON.stringify(standing) === JSON.stringify(standingOf(former))) return undefined
  return (at, revision) => ({ about: 'account', id, at, revision, standing })
}

/** Redis remembers what has changed for the life of an access token; while it does not, the streams answer. */
export function createRevocations(deps: RevocationDeps): Revocations {
  const { redis, load, claimsOnlyPermitted, eventLog, log, markMs, onSkipped } = deps
  const marks = createRevocationMarks({ redis, log, markMs, onSkipped })
  /** By name of the change: what Redis has not taken. The newest stands last. */
  const pending = new Map<string, Mark>()

  async function tell(change: string, outcome: Mark | MarkSubject): Promise<void> {
    await marks.settle(outcome, change)
    pending.delete(change)
  }

  const userOf = (userId: UserId) => load(userDecider, streamOf.user(userId))

  /** @returns `undefined`: the stream was deleted, or holds what this release can not fold. One such stream keeps nobody else waiting. */
  async function accountMark({ stream, createdAt }: LogEvent): Promise<Mark | undefined> {
    const id = idOf(stream)
    try {
      const { state, revision } = await userOf(id)
      return { about: 'account', id, at: createdAt, revision, standing: standingOf(state) }
    } catch (error) {
      if (!(error instanceof StreamDeleted || error instanceof UnreadableStream)) throw error
      // Redis does not answer for it then: whoever asks meets the stream itself, and another release may know it.
      await marks.announce({ about: 'account', id }, 'unreadable')
      return undefined
    }
  }

  async function recentMarks(since: number): Promise<Mark[] | undefined> {
    const [ofSessions, ofUsers] = [`${topics['annals.sessions'].category}-`, `${topics['annals.users'].category}-`]
    const recent = await eventLog.recent({ since, prefixes: [ofSessions, ofUsers], countMax: recentEventsMax })
    if (!recent) return undefined
    const ended = recent
      .filter(({ type }) => type === 'session.ended')
      .map(({ stream, createdAt }): Mark => ({ about: 'session', id: idOf(stream), at: createdAt }))
    // Newest first: the last of an account is met first.
    const changed = new Map<string, LogEvent>()
    for (const event of recent)
      if (event.stream.startsWith(ofUsers) && !silentTypes.has(event.type) && !changed.has(event.stream))
        changed.set(event.stream, event)
    const accounts = [...changed.values()]
    for (let from = 0; from < accounts.length; from += accountsAtOnce) {
      const marked = await Promise.all(accounts.slice(from, from + accountsAtOnce).map(accountMark))
      ended.push(...marked.filter((mark) => mark !== undefined))
    }
    return ended
  }

  /** By the facts: the session's own events, and its account's. */
  async function byFacts(principal: Principal): Promise<Verdict> {
    // Beside this request, which the log answers: Redis may have been emptied.
    marks.complete(recentMarks).catch((error: unknown) => log.debug({ err: error }, 'Redis stays incomplete'))
    const { sessionId, userId } = principal
    const [session, user] = await Promise.all([load(sessionDecider, streamOf.session(sessionId)), userOf(userId)])
    return session.state.status === 'active' ? judge(principal, standingOf(user.state)) : 'ended'
  }

  /** What this process knows and Redis does not. */
  function pendingVerdict(principal: Principal): Verdict {
    let verdict: Verdict = 'good'
    for (const mark of pending.values()) {
      if (mark.about === 'session' && mark.id === principal.sessionId) return 'ended'
      if (mark.about === 'account' && mark.id === principal.userId) verdict = judge(principal, mark.standing)
    }
    return verdict
  }

  const timer = setInterval(async () => {
    try {
      for (const [change, mark] of pending) await tell(change, mark)
    } catch {
      onSkipped()
    }
  }, retryMs)
  timer.unref()

  /** A process may have been killed between a fact and its mark: this one before it was started, or one that Redis did not hear. */
  let repeating: Promise<void> | undefined
  const onReady = () => {
    repeating = (repeating ?? Promise.resolve())
      .then(() => marks.repeat(recentMarks))
      .catch((error: unknown) => log.debug({ err: error }, 'Redis was not told again what has changed'))
  }
  if (deps.tellsAgain ?? true) {
    redis.on('ready', onReady)
    if (redis.status === 'ready') onReady()
  }

  return {
    async begin(change) {
      const mark = markOf(change)
      if (!mark) return undefined
      const name = newId()
      const subject = mark(0, 0)
      const { about, id } = subject
      await marks.announce(subject, name).catch(onSkipped)
      return async (revision) => {
        const outcome = revision === undefined ? { about, id } : mark(Date.now(), revision)
        if ('at' in outcome && pending.size < pendingMax) pending.set(name, outcome)
        await tell(name, outcome).catch((error: unknown) => {
          onSkipped()
          log.warn({ err: error, about, id }, 'Redis has not taken a revocation, trying again')
        })
      }
    },

    async verdictOn(principal) {
      const known = pending.size > 0 ? pendingVerdict(principal) : 'good'
      if (known !== 'good') return known
      const verdict = await marks.verdictOn(principal, () => byFacts(principal))
      return verdict === 'good' && !(await claimsOnlyPermitted(principal)) ? 'stale' : verdict
    },

    get pending() {
      return pending.size
    },

    close() {
      clearInterval(timer)
      redis.off('ready', onReady)
      marks.close()
    },
  }
}
