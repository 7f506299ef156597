const { appendFileSync } = require('node:fs')
const { relative } = require('node:path')

/**
 * A reporter that writes down which file of tests begins and which has ended, a JSON object a line, into the file that
 * `ANNALS_TEST_DIARY` names: what was running stays known when Jest dies.
 */
module.exports = class {
  #file = process.env.ANNALS_TEST_DIARY
  #root

  constructor({ rootDir }) {
    this.#root = rootDir
  }

  onTestFileStart({ path }) {
    this.#write({ began: relative(this.#root, path) })
  }

  onTestFileResult({ path }) {
    this.#write({ ended: relative(this.#root, path) })
  }

  #write(entry) {
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`)
  }
}
