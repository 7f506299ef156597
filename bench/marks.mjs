/**
 * What the figures are held against. Each mark is a floor or a ceiling of one figure.
 *
 * @type {{ part: string, figure: string, title: string, unit: string, least?: number, most?: number,
 *   below?: number, digits?: number }[]}
 */
export const marks = [
  { part: 'relay', figure: 'perSecond', title: 'relay', unit: 'events/s', least: 8_000 },
  { part: 'relay', figure: 'twoRoutesOverOne', title: 'two routes, of one', unit: '', least: 1.3, digits: 2 },
  { part: 'projection', figure: 'perSecond', title: 'catching up, six read models', unit: 'events/s', least: 18_000 },
  { part: 'visible', figure: 'p99Ms', title: 'ack to visible, p99', unit: 'ms', most: 70 },
  { part: 'visible', figure: 'at200P99Ms', title: 'at 200/s', unit: 'ms', most: 150 },
  { part: 'visible', figure: 'totalMicros', title: 'CPU of all for a command', unit: 'µs', most: 9_000 },
  { part: 'lanes', figure: 'ratio24over6', title: 'a lane of 24, of one of 6', unit: '', least: 0.5, digits: 2 },
  { part: 'lanes', figure: 'cpuRatio24over6', title: 'its CPU for a command', unit: '', most: 1.6, digits: 2 },
  { part: 'replay', figure: 'perSecond', title: 'replay', unit: 'events/s', least: 20_000 },
  { part: 'replay', figure: 'ratio', title: 'replay, of a bare read', unit: '', least: 0.75, digits: 2 },
  { part: 'replay', figure: 'threeOverOne', title: 'three read models, of one', unit: '', below: 1.2, digits: 2 },
  { part: 'replay', figure: 'costGrowth1to5M', title: 'cost, five times the log', unit: '', below: 1.1, digits: 2 },
  { part: 'replay', figure: 'peakRssMb', title: 'peak memory of a replay', unit: 'MB', below: 400 },
  { part: 'replay', figure: 'queryP99Growth', title: 'p99 of queries beside it', unit: '', below: 1.25, digits: 2 },
  { part: 'replay', figure: 'swapLockMs', title: 'swap', unit: 'ms', below: 100 },
  { part: 'login', figure: 'ratio', title: 'logins, of bare bcrypt', unit: '', least: 0.9, digits: 2 },
  { part: 'sessionCheck', figure: 'perSecond', title: 'session checks', unit: '/s', least: 5_000 },
  { part: 'sessionCheck', figure: 'p99MsDuringLoginStorm', title: 'in a storm of logins, p99', unit: 'ms', most: 50 },
  { part: 'refresh', figure: 'perSecond', title: 'refreshes', unit: '/s', least: 800 },
  { part: 'commands', figure: 'ratio', title: 'commands, of bare appends', unit: '', least: 0.5, digits: 2 },
]

/** Measured when the replay runs alone, at length. */
const longOnly = new Set(['threeOverOne', 'costGrowth1to5M', 'queryP99Growth'])

/**
 * @param {Record<string, Record<string, number>>} figures by part
 * @returns {(typeof marks[number] & { value: number, reached: boolean })[]} the marks of the parts that were measured
 */
export const judge = (figures) =>
  marks
    .filter(({ part, figure }) => figures[part] && (figure in figures[part] || !longOnly.has(figure)))
    .map((mark) => {
      const value = figures[mark.part][mark.figure]
      const { least = -Infinity, most = Infinity, below = Infinity } = mark
      return { ...mark, value, reached: value >= least && value <= most && (below === Infinity || value < below) }
    })
