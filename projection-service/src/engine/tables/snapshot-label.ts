import type { Snapshot } from './generation'

/** 15 characters: with a projection's name (41) and `_asnew_` a schema's name stays within PostgreSQL's 63. */
const labelForm = /^[a-z][a-z0-9_]{0,14}$/

/** @returns the snapshot that a label names; `undefined` when it is no label. `live` is what is served, never a snapshot. */
export const snapshotOf = (label: string): Snapshot | undefined =>
  labelForm.test(label) && label !== 'live' ? `asof_${label}` : undefined
