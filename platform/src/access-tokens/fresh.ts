import { HttpProblem } from '../api'

export interface FreshAuthentication {
  /** How long ago somebody may have shown who they are. */
  maxAgeSeconds: number
  /** Path of the route by which they show it again. */
  stepUp: string
}

/**
 * Lets only those on who have shown lately who they are, in the terms of RFC 9470. The status is 403: the token is good, and a client
 * that answers every 401 with a refresh would come back with no newer proof.
 * @returns what throws HttpProblem `authentication-too-old`, which names the way to a newer one.
 */
export const requireFresh =
  ({ maxAgeSeconds, stepUp }: FreshAuthentication, now = Date.now) =>
  ({ authenticatedAt }: { authenticatedAt: number }): void => {
    if (now() / 1000 - authenticatedAt <= maxAgeSeconds) return
    throw new HttpProblem('authentication-too-old', {
      detail: `Show again who you are, with POST ${stepUp}, and repeat the request with the token that it answers.`,
      headers: { 'www-authenticate': `Bearer error="insufficient_user_authentication", max_age="${maxAgeSeconds}"` },
      members: { stepUp, maxAgeSeconds },
    })
  }
