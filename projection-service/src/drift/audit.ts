import type { Projection } from '../engine/projection'
import { randomStreams } from './sample'
import { compareStream, type ComparisonDependencies, type RowDifference } from './stream-comparison'

export interface Audit {
  projection: string
  /** Streams folded afresh and compared. */
  compared: number
  /** Streams of which nothing could be said: parked, or changing all the time. */
  passedOver: number
  differing: { stream: string; differences: RowDifference[] }[]
}

/** Audits random streams of a live read model once. */
export async function auditProjection(
  projection: Projection,
  streams: number,
  deps: ComparisonDependencies,
): Promise<Audit> {
  const audit: Audit = { projection: projection.name, compared: 0, passedOver: 0, differing: [] }
  for (const stream of await randomStreams(deps.pool, projection, 'live', streams)) {
    const compared = await compareStream(projection, 'live', stream, deps)
    if (compared.kind === 'passed-over') audit.passedOver += 1
    else audit.compared += 1
    if (compared.kind === 'differs') audit.differing.push({ stream, differences: compared.differences })
  }
  return audit
}
