import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { runJest } from '../../../jest/run.mjs'
import { root } from '../../../profile.mjs'

const folders: string[] = []
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

/** Runs files of tests, in JavaScript, by Jest as ours runs them. */
async function run(files: Record<string, string>) {
  // Jest knows its files by their real paths.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'annals-run-')))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.test.js`), text)
  const config = {
    projects: [
      {
        rootDir: folder,
        displayName: 'unit',
        testEnvironment: join(root, 'dev/jest/environment.cjs'),
        testEnvironmentOptions: { goneWithinMs: 200 },
        transform: {},
      },
    ],
    testSequencer: join(root, 'dev/jest/longest-first.cjs'),
    workerGracefulExitTimeout: 1_000,
  }
  let output = ''
  const outcome = await runJest('unit', {
    env: process.env,
    args: [`--config=${JSON.stringify(config)}`, '--cache=false'],
    workers: 2,
    signal: new AbortController().signal,
    print: (text: string) => (output += text),
  })
  return { ...outcome, output }
}

const sound = `it('is sound', () => expect(1).toBe(1))`

describe('a run of tests', () => {
  it('counts what passed, and what each file took', async () => {
    const { passed, failed, files } = await run({ one: sound, other: sound })
    expect({ passed, failed }).toEqual({ passed: 2, failed: 0 })
    expect(files.map(({ name }) => name.replace(/.*\//, '')).toSorted()).toEqual(['one.test.js', 'other.test.js'])
    for (const { seconds } of files) expect(seconds).toBeGreaterThan(0)
  })

  it('counts a skipped test as failed', async () => {
    expect(await run({ one: sound, other: `it.skip('waits', () => {})` })).toMatchObject({ passed: 1, failed: 1 })
  })

  it('fails a file that leaves a listener and a timer open, and says what they are', async () => {
    const open = `it('listens', () => {
      require('node:net').createServer().listen(0, '127.0.0.1')
      setInterval(() => {}, 1_000)
    })`
    const { passed, failed, output } = await run({ one: sound, open })
    expect(failed).toBeGreaterThan(0)
    expect(passed).toBeGreaterThanOrEqual(1)
    expect(output).toMatch(/left open: .*1 (TCPServerWrap|Timeout), 1 (TCPServerWrap|Timeout)/)
    expect(output).toMatch(/port \d+/)
    // The process can not end, either: killed, and counted.
    expect(output).toMatch(/A worker had to be killed/)
  }, 60_000)

  it('fails when Jest itself does not end, and ends it', async () => {
    const { failed, output } = await run({ open: `it('waits', () => void setInterval(() => {}, 1_000))` })
    expect(failed).toBeGreaterThan(0)
    expect(output).toMatch(/Jest did not end: a test has left something open/)
  }, 60_000)

  it('names the file that was running when Jest died', async () => {
    const deadly = `it('dies', async () => {
      process.kill(process.ppid, 'SIGKILL')
      await new Promise((resolve) => setTimeout(resolve, 500))
    })`
    const { passed, failed, output } = await run({ deadly, one: sound })
    expect({ passed, failed }).toEqual({ passed: 0, failed: 1 })
    expect(output).toMatch(
      /Jest ended \(SIGKILL\) without a report of the unit tests\. Running were .*deadly\.test\.js/,
    )
  }, 60_000)
})
