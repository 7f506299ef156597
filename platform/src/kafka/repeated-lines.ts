/** Subjects remembered at most; kafkajs has some fifty messages, times the numbers in them that are taken out. */
const subjectsMax = 500

/**
 * Thins out lines that say the same: of each subject the first at once, then at most one in `everyMs`, with the number of those
 * that were kept back before it.
 * @param now ms, of any epoch.
 * @returns what says of a line how many like it were kept back; `undefined`: keep this one back.
 */
export function createRepetitionLimit(everyMs: number, now: () => number = Date.now) {
  const subjects = new Map<string, { saidAt: number; keptBack: number }>()
  return (line: string): number | undefined => {
    const subject = line.replaceAll(/\d+/g, '#')
    const known = subjects.get(subject)
    if (known && now() - known.saidAt < everyMs) {
      known.keptBack++
      return undefined
    }
    if (!known && subjects.size >= subjectsMax) subjects.clear()
    subjects.set(subject, { saidAt: now(), keptBack: 0 })
    return known?.keptBack ?? 0
  }
}
