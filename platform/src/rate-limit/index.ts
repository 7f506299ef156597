export {
  createRateLimit,
  type Attempt,
  type RateLimit,
  type RateLimitOptions,
  type RateLimitPolicy,
} from './rate-limit'
export { createRedisCounter, type SharedCounter } from './shared-counter'
