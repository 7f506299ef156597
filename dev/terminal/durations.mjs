/** How many of the slowest files are told. */
const slowestMax = 10

/** @param {number} seconds @returns {string} `3.2 s`, `4 min 5 s` */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}

/**
 * Where the time of a test run went.
 *
 * @typedef {{ name: string, seconds: number }} Took
 * @param {Took[]} parts in the order in which they ended; some run at the same time
 * @param {Took[]} files of tests
 * @param {number} seconds all of it
 * @returns {string} several lines
 */
export function timesReport(parts, files, seconds) {
  const slowest = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, slowestMax)
  const line = ({ name, seconds }) => `${duration(seconds).padStart(12)}  ${name}`
  const slow = slowest.length === 0 ? [] : ['The slowest files:', ...slowest.map(line)]
  return ['', 'Where the time went:', ...parts.map(line), ...slow, `Took ${duration(seconds)}.`].join('\n')
}
