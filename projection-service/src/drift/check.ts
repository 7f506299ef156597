import { verifyChain } from '../chain/verify'
import { isChain, isOfOneStream, type ChainProjection } from '../engine/definition/chain'
import type { Projection } from '../engine/definition/projection'
import { differenceOf } from './chain-check'
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
  if (isChain(projection)) return checkDriftOfChain(projection, streams, deps)
  const sampled = await sampleStreams(projection, 'live', streams, deps)
  return { projection: projection.name, by: isOfOneStream(projection) ? 'rows' : 'revisions', ...sampled }
}

/** Of a chain some entries for each stream that was asked for, from a random place on. */
const entriesPerStream = 20

async function checkDriftOfChain(
  projection: ChainProjection,
  streams: number,
  deps: SampleDependencies,
): Promise<DriftReport> {
  const { entries, findings } = await verifyChain(projection, deps, { sample: streams * entriesPerStream })
  const differing = findings.map((finding) => ({
    stream: `${finding.topic}/${finding.partition}`,
    differences: [differenceOf(finding)],
  }))
  return {
    projection: projection.name,
    by: 'rows',
    compared: entries,
    passedOver: 0,
    deleted: [],
    walked: entries,
    differing,
  }
}
