import { randomUUID } from 'node:crypto'
import { join } from 'node:path'

export { arbitraryOf } from './arbitrary'
export { hostileTexts, hostileValues } from './hostile'
export type { DatabaseRecipe, TestDatabase } from './database'
export { startTestEventStore, type TestEventStore } from './event-store'
export type { TestProcess } from './process'
export { TestScope, testScope } from './scope'
export { startSpanCollector, type CollectedSpan, type SpanCollector } from './span-collector'
export { proxyOf, startSilentProxy, type Silence, type SilentProxy } from './silent-proxy'
export { eventually, requireEnv } from './waiting'

/** A name that no other test has: what a test touches is its own. */
export const uniqueName = (prefix: string): string => `${prefix}.${randomUUID().slice(0, 8)}`

/**
 * Arguments of `node` that run a TypeScript file as a process of its own, from the sources as Jest sees them: for what has
 * to be killed, or can not live inside Jest.
 */
export const typescriptProcess = (file: string, ...args: readonly string[]): string[] => [
  '--conditions=annals-source',
  '--require',
  join(__dirname, 'typescript-hook.cjs'),
  file,
  ...args,
]
