/**
 * The two-sample Kolmogorov-Smirnov statistic: the largest distance between two empirical distribution functions, 0
 * (the same) to 1 (nothing in common). Of 200 samples a side from one distribution it passes 0.27 once in a million
 * times.
 */
export function distanceOf(one: readonly number[], other: readonly number[]): number {
  const shareBelow = (samples: readonly number[], x: number) => samples.filter((y) => y <= x).length / samples.length
  return Math.max(...[...one, ...other].map((x) => Math.abs(shareBelow(one, x) - shareBelow(other, x))))
}

/** The middle one of an odd count, or the upper one of the two in the middle. */
export const medianOf = (samples: readonly number[]): number =>
  samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)]!
