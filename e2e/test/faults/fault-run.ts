import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from '@jest/globals'
import { startProgram } from '../../processes.mjs'

/** One fault run takes as long at most, on a busy machine. */
export const runMsMax = 420_000

const folder = mkdtempSync(join(tmpdir(), 'annals-faults-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A small fault run on a system of its own, with what it reports. */
export async function faultRun(args: string[]) {
  const file = join(folder, 'report.json')
  const { code, output } = await startProgram('e2e/faults.mjs', [...args, '--json', file], {}, runMsMax)
  return { code, output, report: JSON.parse(readFileSync(file, 'utf8')) }
}

/** Fails with what the run said, when it did not pass. @returns its report */
export async function passingRun(args: string[]) {
  const { code, output, report } = await faultRun(args)
  if (code !== 0) throw new Error(`exit code ${code}:\n${output.slice(-8_000)}`)
  return report
}
