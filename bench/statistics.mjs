/** @param {readonly number[]} values at least one @returns {number} the middle one; of an even number the middle of two */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * Nearest rank: the smallest value that so large a share of all do not exceed. Always one that was measured.
 *
 * @param {readonly number[]} values at least one
 * @param {number} share 0 < share <= 1
 */
export function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

/** @param {readonly number[]} values @returns {number} (largest - smallest) / median: how far phases lie apart */
export const spread = (values) => (Math.max(...values) - Math.min(...values)) / median(values)
