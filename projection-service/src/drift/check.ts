import type { Projection } from '../engine/definition/projection'
import { sampleStreams, type SampleDependencies, type Sampled } from './sample'

/** What was found of a live read model. */
export interface DriftReport extends Sampled {
  projection: string
  /** `revisions`: its rows are made of many streams, so only how far each stream was seen was compared. */
  by: 'rows' | 'revisions'
}

/**
 * Checks random streams of a live read model once, and a part of the log for streams that it lacks.
 * @param streams that are compared; with 20 events of the log for each.
 */
export async function checkDrift(
  projection: Projection,
  streams: number,
  deps: SampleDependencies,
): Promise<DriftReport> {
  const sampled = await sampleStreams(projection, 'live', streams, deps)
  return { projection: projection.name, by: projection.grain === 'shard' ? 'revisions' : 'rows', ...sampled }
}
