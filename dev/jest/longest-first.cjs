const { relative } = require('node:path')
const Sequencer = require('@jest/test-sequencer').default
/** @type {Record<string, number>} seconds of files that take five or more; others are not worth their line */
const recorded = require('./durations.json')

/** What a file takes that is not recorded, in s. */
const usualSeconds = 3

/**
 * The longest file first: one that is begun last and takes a minute leaves every other worker idle for that minute. Jest orders
 * them so by itself when it knows what they took here; in a fresh clone `durations.json` is gone by.
 */
module.exports = class extends Sequencer {
  /** @override */
  sort(tests) {
    const sorted = /** @type {import('@jest/test-result').Test[]} */ (super.sort(tests))
    if (sorted.some(({ duration }) => duration !== undefined)) return sorted
    const seconds = ({ path, context }) => recorded[relative(context.config.rootDir, path)] ?? usualSeconds
    return sorted.sort((a, b) => seconds(b) - seconds(a))
  }
}
