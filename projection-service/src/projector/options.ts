import { z } from 'zod'
import { field, processFields, kafkaFields } from '@annals/platform/config'
import type { Projection } from '../engine/definition/projection'
import { projectionNamed, projections } from '../projections'

/** Read models by name, comma separated; `undefined`: every one of this release. */
const readModels = z
  .string()
  .transform((text) => text.split(',').map((name) => name.trim()))
  .superRefine((names, context) => {
    const known = projections.map(({ name }) => name).join(', ')
    const wrong = names.filter((name, i) => !projectionNamed(name) || names.indexOf(name) !== i)
    if (wrong.length > 0) context.addIssue({ code: 'custom', message: `takes some of ${known}; each once` })
  })
  .transform((names): readonly Projection[] => projections.filter(({ name }) => names.includes(name)))

/** The projector's configuration; `.env.example` explains each. */
export const ProjectorConfig = z.object({
  ...processFields(3102),
  ...kafkaFields,
  /**
   * The log itself. Without it a hole stops its partition, what has left the lane does not catch up, drift is not checked, and a log that
   * went back is not noticed; so while it is away.
   */
  EVENTSTORE_URL: field.url('esdb', 'esdb+discover').optional(),
  /** Seconds between rounds of the drift checker; 0: none. */
  DRIFT_CHECK_INTERVAL_SECONDS: field.integer(30, 0, 86_400),
  PROJECTION_DATABASE_URL: field.url('postgres', 'postgresql'),
  SUBJECT_KEYS_DATABASE_URL: field.url('postgres', 'postgresql'),
  MASTER_KEY: field.keys256(),
  /** Connections to the read models: each is one transaction at a time. */
  PROJECTION_DATABASE_CONNECTIONS: field.integer(10, 1, 100),
  /** What this process feeds and checks. The same for all instances: what one of them does not feed leaves the lane there. */
  PROJECTIONS: readModels.default(projections),
})
export type ProjectorConfig = z.infer<typeof ProjectorConfig>
