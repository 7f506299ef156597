import { parseArgs } from 'node:util'
import { Trouble } from './trouble.mjs'

/**
 * Options of one of the project's own commands; each of them knows `--help`, and says with a wrong call what a right one is.
 *
 * @param {{ args?: string[], options: NonNullable<import('node:util').ParseArgsConfig['options']>, usage: string,
 *   allowPositionals?: boolean }} call `args`: default the process's own
 * @returns {{ values: Record<string, any>, positionals: string[] }} `values.help`: the usage is all that is wanted
 * @throws {Trouble} for an option that is not there or lacks its value
 */
export function parseOptions({ args = process.argv.slice(2), options, usage, allowPositionals = false }) {
  try {
    return parseArgs({ args, allowPositionals, options: { ...options, help: { type: 'boolean', default: false } } })
  } catch (error) {
    throw new Trouble(`${error.message}.\n\n${usage}`, { cause: error })
  }
}
