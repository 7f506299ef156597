import { createHash } from 'node:crypto'
import type { Snapshot } from '../../engine/tables/generation'
import type { Point } from '../source/event-source'
import { snapshotOf } from '../../engine/tables/snapshot-label'
import { pointText, type Source } from './snapshot-source'

/** The flags that make a snapshot instead of a rebuild. */
export interface ScopeFlags {
  asOf?: Point
  stream?: string
  user?: string
  from?: Point
  to?: Point
  source?: Source
}

/** What is folded into a snapshot: everything up to a point, or some streams, whole. */
export type Scope =
  | { kind: 'as-of'; what: string; until: Point | undefined; source: Source }
  | {
      kind: 'scope'
      what: string
      stream: string | undefined
      userId: string | undefined
      from: Point | undefined
      to: Point | undefined
    }

const present = (flags: readonly (readonly [string, unknown])[]) =>
  flags.filter(([, value]) => value !== undefined).map(([name]) => name)

/**
 * What these flags ask for; `undefined`: none of them was given, so a rebuild.
 * @param rebuild flags that only a rebuild knows, by name.
 * @returns or why they can not stand together, and what to do instead.
 */
export function scopeOf(flags: ScopeFlags, rebuild: Record<string, unknown>): Scope | { refused: string } | undefined {
  const { asOf, stream, user, from, to, source } = flags
  const streams = present([
    ['--stream', stream],
    ['--user', user],
    ['--from', from],
    ['--to', to],
  ])
  const ofSnapshot = [...present([['--as-of', asOf]]), ...streams, ...(source === 'kafka' ? ['--source kafka'] : [])]
  const ofRebuild = present(Object.entries(rebuild))
  if (ofSnapshot.length === 0) return undefined
  if (ofRebuild.length > 0) {
    const reason = `${ofSnapshot[0]} folds into tables of its own, ${ofRebuild[0]} is about rebuilding the live read model`
    return { refused: `${reason}: leave one of them out` }
  }
  if (asOf && streams.length > 0) {
    const instead = 'fold --as-of alone and look at those rows in it, or leave --as-of out'
    return { refused: `--as-of folds all streams up to a point, ${streams[0]} folds some streams whole: ${instead}` }
  }
  if (source === 'kafka' && streams.length > 0) {
    return { refused: `${streams[0]} is read from the log: leave --source out` }
  }
  if (source === 'kafka' && asOf?.kind === 'time') {
    return { refused: '--source kafka knows no time, as partitions are read side by side: --as-of <position>' }
  }
  if (from && to && from.kind === to.kind && valueOf(from) >= valueOf(to)) {
    return { refused: '--from lies before --to, which is not included' }
  }
  if (streams.length > 0) {
    const what = [
      stream,
      user && `user ${user}`,
      from && `from ${pointText(from)}`,
      to && `to ${pointText(to)}`,
    ].filter(Boolean)
    return { kind: 'scope', what: what.join(' '), stream, userId: user, from, to }
  }
  const until = asOf ? `as of ${pointText(asOf)}` : 'all'
  const what = source === 'kafka' ? `${until}, from the topics` : until
  return { kind: 'as-of', what, until: asOf, source: source ?? 'log' }
}

/**
 * A label for those who named none, the same for the same scope: `p1024`, `t20261123100000` (`t1795427999900`, epoch ms, where
 * seconds do not tell it), `kafka`, `scope_1f0c9a33`.
 */
export function standardLabel(scope: Scope): Snapshot {
  const hash = () => createHash('sha256').update(scope.what).digest('hex').slice(0, 8)
  const snapshot = scope.kind === 'scope' ? undefined : snapshotOf(pointLabel(scope.until, scope.source))
  return snapshot ?? snapshotOf(`scope_${hash()}`)!
}

function pointLabel(point: Point | undefined, source: Source): string {
  if (!point) return source
  if (point.kind === 'position') return `${source === 'kafka' ? 'k' : 'p'}${point.position}`
  if (point.at % 1_000 !== 0) return `t${point.at}`
  return `t${new Date(point.at).toISOString().slice(0, 19).replaceAll(/\D/g, '')}`
}

const valueOf = (point: Point) => (point.kind === 'position' ? point.position : point.at)
