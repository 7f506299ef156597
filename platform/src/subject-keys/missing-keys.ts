import { counter, type Registry } from '../metrics'

/** Counts how often a person's data key was asked for whose row is not there. Each is an alarm: a key does not get lost by itself. */
export const missingKeysCounter = (registry: Registry) =>
  counter(registry, 'annals_subject_keys_missing_total', 'Data keys asked for whose row is missing in the key table')
