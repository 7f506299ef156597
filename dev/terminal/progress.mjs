import { styleText } from 'node:util'

/** How often a person without a terminal (a CI log) hears that something still goes on. */
const quietIntervalMs = 10_000

/**
 * Shows steps that run at the same time. A finished step is a line that stays. Running steps are one live line at the
 * end on a terminal, or an occasional line in a log.
 */
export class Progress {
  /** @type {Map<string, { text: string, begunAt: number }>} */
  #open = new Map()
  #timer
  #lastSaidAt = Date.now()
  #live = process.stdout.isTTY === true && process.env.CI === undefined

  /** @param {string} title what is being done, a few words @param {string} [detail] */
  begin(title, detail = '') {
    this.#open.set(title, { text: detail, begunAt: performance.now() })
    this.#timer ??= setInterval(() => this.#tick(), this.#live ? 100 : 1_000)
    this.#timer.unref()
  }

  /** @param {string} title @param {string} detail replaces the former one */
  update(title, detail) {
    const step = this.#open.get(title)
    if (step) step.text = detail
  }

  /** @param {string} title @param {string} [result] stays on the line */
  done(title, result) {
    this.#end(title, styleText('green', 'ok'), result)
  }

  /** @param {string} title @param {string} [result] */
  failed(title, result) {
    this.#end(title, styleText('red', '!!'), result)
  }

  /** Prints above the live line. @param {string} [text] */
  print(text = '') {
    this.#clear()
    console.log(text)
    this.#draw()
  }

  /** Ends the live line, whatever still runs. */
  close() {
    this.#clear()
    this.#open.clear()
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #end(title, mark, result) {
    const step = this.#open.get(title)
    this.#open.delete(title)
    const seconds = step ? (performance.now() - step.begunAt) / 1000 : 0
    const time = step && seconds >= 0.05 ? `${seconds.toFixed(1)} s` : ''
    this.print(
      `  ${mark} ${title.padEnd(24)} ${fit(result ?? step?.text ?? '', 39).padEnd(39)} ${time.padStart(7)}`.trimEnd(),
    )
    if (this.#open.size === 0) this.close()
  }

  #tick() {
    if (this.#live) return this.#draw()
    if (Date.now() - this.#lastSaidAt < quietIntervalMs) return
    this.#lastSaidAt = Date.now()
    console.log(`     … ${this.#summary()}`)
  }

  #summary() {
    const oldest = Math.min(...[...this.#open.values()].map(({ begunAt }) => begunAt))
    const names = [...this.#open].map(([title, { text }]) => (text ? `${title}: ${text}` : title)).join(', ')
    return fit(`${Math.round((performance.now() - oldest) / 1000)} s  ${names}`, 70)
  }

  #draw() {
    if (!this.#live || this.#open.size === 0) return
    const wheel = '-\\|/'[Math.floor(Date.now() / 150) % 4]
    process.stdout.write(`\r\u001B[2K  ${wheel}  ${this.#summary()}`)
  }

  #clear() {
    this.#lastSaidAt = Date.now()
    if (this.#live) process.stdout.write('\r\u001B[2K')
  }
}

/** @param {string} text @param {number} width @returns {string} at most `width` characters, cut with an ellipsis */
export const fit = (text, width) => (text.length <= width ? text : `${text.slice(0, width - 1)}…`)

/** @param {string} text */
export const bold = (text) => styleText('bold', text)

/** @param {string} text */
export const faint = (text) => styleText('dim', text)
