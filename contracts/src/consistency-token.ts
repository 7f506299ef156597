import { z } from 'zod'

/**
 * What a command's answer carries so that a later query can wait for it: the stream that changed, its revision after the
 * change, the log position of the change, and which log it is. Opaque to clients: base64url of JSON, versioned by its first
 * field. Version 1 had neither revision nor log; it is read as long as processes of the former release issue it.
 */
const Content = z.discriminatedUnion('v', [
  z.object({
    v: z.literal(2),
    s: z.string().min(1).max(200),
    r: z.int().nonnegative(),
    p: z.string().regex(/^\d{1,19}$/),
    l: z
      .string()
      .regex(/^[0-9a-f]{8}$/)
      .optional(),
  }),
  z.object({ v: z.literal(1), s: z.string().min(1).max(200), p: z.string().regex(/^\d{1,19}$/) }),
])

/** What tokens are signed for: the command API signs, the query API opens. */
export const consistencyTokenPurpose = 'consistency token'

export interface ConsistencyPoint {
  stream: string
  /** Of the stream after the change; `undefined`: the token is of version 1. */
  revision?: number | undefined
  position: bigint
  /** Short form of the log's identity ({@link shortLogId}); `undefined`: whoever made the token did not know it. */
  log?: string | undefined
}

/** @param identity of a log: the UUID of its first event. @returns its first 8 hex digits: enough to tell two logs apart. */
export const shortLogId = (identity: string): string => identity.slice(0, 8).toLowerCase()

const toBase64Url = (text: string) => btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

export const encodeConsistencyToken = ({ stream, revision, position, log }: ConsistencyPoint): string =>
  toBase64Url(
    JSON.stringify(
      revision === undefined
        ? { v: 1, s: stream, p: position.toString() }
        : { v: 2, s: stream, r: revision, p: position.toString(), ...(log === undefined ? {} : { l: log }) },
    ),
  )

/**
 * What a token says. Its signature, behind a dot, is not looked at: whoever acts on a token has opened it before.
 * @returns `undefined` when the text is no token of ours.
 */
export function decodeConsistencyToken(token: string): ConsistencyPoint | undefined {
  if (token.length > 400) return undefined
  try {
    const [said] = token.split('.', 1) as [string]
    const content = Content.parse(JSON.parse(atob(said.replaceAll('-', '+').replaceAll('_', '/'))))
    const point = { stream: content.s, position: BigInt(content.p) }
    return content.v === 1 ? point : { ...point, revision: content.r, ...(content.l ? { log: content.l } : {}) }
  } catch {
    return undefined
  }
}
