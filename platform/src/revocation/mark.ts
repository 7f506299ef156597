import type { Verdict } from '../access-tokens'
import { judge, type Bearer, type Standing } from './standing'

/** What is told to Redis: a session has ended, or an account has changed what it says to tokens. */
export type Mark =
  | { about: 'session'; id: string; at: number }
  /** `revision`: of the account's stream. Of two marks the one of the higher revision stays, whichever comes last. */
  | { about: 'account'; id: string; at: number; revision: number; standing: Standing }

/** What a mark is about. `at`: epoch ms, when it happened. */
export type MarkSubject = Pick<Mark, 'about' | 'id'>

export const keyOf = ({ about, id }: MarkSubject): string =>
  about === 'session' ? `revoked:${id}` : `revoked:account:${id}`

/** What stands in Redis under a key. */
interface Written {
  /** Changes that were begun and of which nobody has said how they ended, and until when that matters (epoch ms). */
  open?: Record<string, number>
  /** The mark itself, once there is one. */
  said?: string
}

/** Marks a change as begun. KEYS: the mark. ARGV: name of the change, how long marks last (ms), now (epoch ms). */
export const announceScript = `
local mark = redis.call('get', KEYS[1])
mark = mark and cjson.decode(mark) or {}
if type(mark) ~= 'table' then return 0 end
mark.open = mark.open or {}
mark.open[ARGV[1]] = ARGV[3] + ARGV[2]
redis.call('set', KEYS[1], cjson.encode(mark), 'PX', ARGV[2])
return 1`

/**
 * Says how a change ended. KEYS: the mark. ARGV: name of the change, life of the mark (ms), now (epoch ms), revision, what is said
 * (empty: nothing has changed). A mark of a higher revision stays.
 */
export const settleScript = `
local mark = redis.call('get', KEYS[1])
mark = mark and cjson.decode(mark) or {}
if type(mark) ~= 'table' then return 0 end
local open, left = {}, 0
for name, untilMs in pairs(mark.open or {}) do
  if name ~= ARGV[1] and untilMs > tonumber(ARGV[3]) then open[name] = untilMs; left = left + 1 end
end
mark.open = left > 0 and open or nil
if ARGV[5] ~= '' and tonumber(ARGV[4]) >= (mark.revision or -1) then
  mark.revision = tonumber(ARGV[4])
  mark.said = ARGV[5]
end
if not mark.open and not mark.said then redis.call('del', KEYS[1]); return 1 end
local life = math.max(tonumber(ARGV[2]), redis.call('pttl', KEYS[1]))
redis.call('set', KEYS[1], cjson.encode(mark), 'PX', life)
return 1`

/** What a mark says, as text: of a session only that it has ended. */
export const said = (mark: Mark): string => (mark.about === 'session' ? 'ended' : JSON.stringify(mark.standing))

export const revisionOf = (mark: Mark): number => (mark.about === 'session' ? 0 : mark.revision)

/**
 * What the marks of a session and of its account say to a token.
 * @param session, account as they stand in Redis; `null`: there is none.
 * @returns `undefined`: a change has begun, and how it ended nobody has told; `good`: nothing is said against it.
 */
export function verdictOf(bearer: Bearer, session: string | null, account: string | null): Verdict | undefined {
  const ofSession = read(session)
  if (ofSession.said !== undefined) return 'ended'
  const ofAccount = read(account)
  const now = Date.now()
  const isOpen = [ofSession, ofAccount].some(({ open }) => Object.values(open ?? {}).some((until) => until > now))
  if (isOpen) return undefined
  return ofAccount.said === undefined ? 'good' : judge(bearer, JSON.parse(ofAccount.said) as Standing)
}

function read(text: string | null): Written {
  if (text === null) return {}
  const written = JSON.parse(text) as Written | number
  // The form of former releases: a session that has ended.
  return typeof written === 'number' ? { said: 'ended' } : written
}
