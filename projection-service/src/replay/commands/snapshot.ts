import type { Snapshot } from '../../engine/tables/generation'
import { isChain } from '../../engine/definition/chain'
import type { Projection } from '../../engine/definition/projection'
import { makeSnapshots, SnapshotError } from '../snapshots/as-of'
import { topicsOf } from '../../engine/definition/topics'
import { streamsInScope, streamsSource, type EventSource } from '../source/event-source'
import { reporter } from '../reporting/output'
import { withSystem, type System } from '../system'
import { interruptible } from './interruption'
import { standardLabel, type Scope } from './scope'
import { sourceUpTo } from './snapshot-source'

async function sourceOf(
  scope: Scope,
  chosen: readonly Projection[],
  system: System,
  signal: AbortSignal,
): Promise<EventSource> {
  if (scope.kind === 'as-of') return sourceUpTo(scope.until, scope.source, chosen, system)
  return streamsSource(system.log, await streamsInScope(system.log, topicsOf(chosen), scope, signal))
}

/** A chain is all of the log in its order, or it is none. */
function foldable(chosen: readonly Projection[], scope: Scope): readonly Projection[] {
  if (scope.kind === 'as-of' && scope.source === 'log') return chosen
  const left = chosen.filter((projection) => !isChain(projection))
  if (left.length > 0) return left
  throw new SnapshotError(
    `${chosen.map(({ name }) => name).join(', ')}: a chain is folded from the whole log only, in its order`,
  )
}

/** Folds a part of the log, or a former time of it, into tables beside the live ones. */
export async function foldSnapshot(
  named: readonly Projection[],
  scope: Scope,
  snapshot: Snapshot = standardLabel(scope),
  json?: true,
): Promise<void> {
  const chosen = foldable(named, scope)
  const told = reporter(json)
  const began = performance.now()
  const names = chosen.map(({ name }) => name)
  const { kind, what } = scope
  try {
    const { results, passedOver } = await interruptible((signal) =>
      withSystem(1, async (system) => {
        const source = await sourceOf(scope, chosen, system, signal)
        const onChunk = (events: number) => told.gone(names, events)
        const input = { projections: chosen, snapshot, source, facts: { kind, what }, onChunk, signal, ...system }
        return { results: await makeSnapshots(input), passedOver: source.passedOver ?? [] }
      }),
    )
    told.done({
      snapshot: snapshot.replace('asof_', ''),
      results,
      passedOver,
      seconds: (performance.now() - began) / 1_000,
      isSwapped: false,
    })
  } finally {
    told.stop()
  }
}
