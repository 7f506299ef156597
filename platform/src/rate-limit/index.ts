export {
  createRateLimit,
  type Attempt,
  type Entered,
  type RateLimit,
  type RateLimitOptions,
  type WindowStanding,
} from './rate-limit'
export { shareAlone } from './own-windows'
export {
  createRateLimits,
  generalPolicy,
  noLimits,
  type LimitTable,
  type NamedStanding,
  type RateLimits,
  type RequestVerdict,
  type RouteLimit,
} from './rate-limits'
export { createRedisWindows, type SharedVerdict, type SharedWindows, type Standing } from './shared-windows'
export type { RateWindow } from './window'
