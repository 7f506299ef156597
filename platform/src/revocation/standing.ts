import type { Verdict } from '../access-tokens'

/** What an access token claims of its bearer, as far as that may change while the token lasts. */
export interface Bearer {
  sessionId: string
  userId: string
  /** The epoch of the account in which the session began. */
  epoch: number
  roles: readonly string[]
}

/** What an account says to the tokens of its sessions. */
export interface Standing {
  /** `false`: disabled, erased, or never there. */
  isActive: boolean
  /** Sessions of former epochs are over. */
  epoch: number
  /** A session of a former epoch that goes on; `null`: none does. */
  exceptSessionId: string | null
  roles: readonly string[]
}

const isSameSet = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((one) => others.includes(one))

/** Says whether an account still stands behind a token; whether the session itself was ended is another question. */
export function judge({ sessionId, epoch, roles }: Bearer, standing: Standing): Verdict {
  const isHeld = epoch >= standing.epoch || sessionId === standing.exceptSessionId
  if (!standing.isActive || !isHeld) return 'ended'
  return isSameSet(roles, standing.roles) ? 'good' : 'stale'
}
