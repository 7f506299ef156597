/**
 * What the figures are held against. Each mark is a floor or a ceiling of one figure.
 *
 * @type {{ part: string, figure: string, title: string, unit: string, least?: number, most?: number, digits?: number }[]}
 */
export const marks = [
  { part: 'relay', figure: 'perSecond', title: 'relay', unit: 'events/s', least: 8_000 },
  { part: 'visible', figure: 'p99Ms', title: 'ack to visible, p99', unit: 'ms', most: 250 },
  { part: 'replay', figure: 'perSecond', title: 'replay', unit: 'events/s', least: 15_000 },
  { part: 'replay', figure: 'ratio', title: 'replay, of a bare read', unit: '', least: 0.5, digits: 2 },
  { part: 'commands', figure: 'ratio', title: 'commands, of bare appends', unit: '', least: 0.3, digits: 2 },
]

/**
 * @param {Record<string, Record<string, number>>} figures by part
 * @returns {(typeof marks[number] & { value: number, reached: boolean })[]} the marks of the parts that were measured
 */
export const judge = (figures) =>
  marks
    .filter(({ part }) => figures[part])
    .map((mark) => {
      const value = figures[mark.part][mark.figure]
      const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = mark
      return { ...mark, value, reached: value >= least && value <= most }
    })
