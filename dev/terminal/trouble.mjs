/** A failure that its reader can mend: one sentence for what happened, one for what to do, and where to read more. */
export class Trouble extends Error {
  /**
   * @param {string} what one sentence, without a trace
   * @param {{ remedy?: string, log?: string, cause?: unknown }} [facts]
   */
  constructor(what, { remedy, log, cause } = {}) {
    super(what, { cause })
    this.name = 'Trouble'
    this.remedy = remedy
    this.log = log
  }
}

/**
 * @param {unknown} error
 * @returns {string} what a person reads at the end of a failed command: 1 to 3 lines; a programming error keeps its trace
 */
export function explain(error) {
  if (/** @type {NodeJS.ErrnoException} */ (error)?.code === 'ENOSPC')
    return 'The disk is full. Free some space (`df -h .`), then run the command again.'
  if (!(error instanceof Trouble)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const lines = [error.message]
  if (error.remedy) lines.push(`What to do: ${error.remedy}`)
  if (error.log) lines.push(`Log: ${error.log}`)
  return lines.join('\n').split('\n').map(wrapped).join('\n')
}

/** Breaks a line between words, so that a terminal of 80 columns does not break it within one. */
function wrapped(line) {
  if (line.length <= 78) return line
  const rows = ['']
  for (const word of line.split(' ')) {
    const row = rows.at(-1)
    if (row !== '' && row.length + word.length >= 78) rows.push(`  ${word}`)
    else rows[rows.length - 1] = row === '' && rows.length === 1 ? word : `${row} ${word}`
  }
  return rows.join('\n')
}
