import { z } from 'zod'

/**
 * What a command's answer carries so that a later query can wait for it: the stream that changed and the log position
 * of the change. Opaque to clients: base64url of JSON, versioned by its first field.
 */
const Content = z.object({
  v: z.literal(1),
  s: z.string().min(1).max(200),
  p: z.string().regex(/^\d{1,19}$/),
})

export interface ConsistencyPoint {
  stream: string
  position: bigint
}

const toBase64Url = (text: string) => btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

export const encodeConsistencyToken = ({ stream, position }: ConsistencyPoint): string =>
  toBase64Url(JSON.stringify({ v: 1, s: stream, p: position.toString() }))

/** @returns `undefined` when the text is no token of ours. */
export function decodeConsistencyToken(token: string): ConsistencyPoint | undefined {
  if (token.length > 400) return undefined
  try {
    const content = Content.parse(JSON.parse(atob(token.replaceAll('-', '+').replaceAll('_', '/'))))
    return { stream: content.s, position: BigInt(content.p) }
  } catch {
    return undefined
  }
}
