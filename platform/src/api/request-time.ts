/** A client that sends its request, head or body, more slowly than this is cut off. */
const requestMsMax = 15_000
/** Node looks this often for requests that take too long; its own half minute would be added to their time. */
const lookEveryMs = 1_000

/**
 * Settings of fastify and of Node's server. Node waits for a body at least as long as for a head, and the default for
 * a head is a minute. With `requestTimeout` alone, a slow body was cut off after 75 to 90 s.
 */
export const requestTime = {
  requestTimeout: requestMsMax,
  http: { headersTimeout: requestMsMax, connectionsCheckingInterval: lookEveryMs },
} as const
