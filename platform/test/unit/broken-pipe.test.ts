import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, expect, it } from '@jest/globals'
import { eventually, typescriptProcess } from '@annals/platform/testing'

/** The process has nothing to finish: beyond this it hangs. Its own limit is 20 s, after which it would end with 1. */
const endsWithinMs = 5_000

let child: ChildProcess | undefined
afterEach(() => void child?.kill('SIGKILL'))

async function started(how = 'talks'): Promise<ChildProcess> {
  child = spawn(process.execPath, typescriptProcess(join(__dirname, 'logging-process.ts'), how), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  return child
}

async function endOf(running: ChildProcess): Promise<unknown[]> {
  const exited = once(running, 'exit')
  running.kill('SIGTERM')
  return Promise.race([
    exited,
    new Promise<unknown[]>((resolve) => setTimeout(resolve, endsWithinMs, ['hangs']).unref()),
  ])
}

it('a process whose log has a reader ends with 0, and its last line arrives', async () => {
  const running = await started()
  let text = ''
  running.stdout!.on('data', (chunk) => (text += String(chunk)))
  const closed = once(running.stdout!, 'close')
  expect(await endOf(running)).toEqual([0, null])
  await closed
  expect(text.slice(-200)).toMatch(/"msg":"stopped"\}\n$/)
}, 20_000)

it('a process whose log’s reader has gone ends with 0 when it is told to', async () => {
  const running = await started()
  running.stdout!.destroy()
  // Meanwhile it writes, and hears that nobody reads.
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(running.exitCode).toBeNull()
  expect(await endOf(running)).toEqual([0, null])
}, 20_000)

it('a process that finds out only at its end that its log’s reader has gone ends with 0', async () => {
  const running = await started('quiet')
  running.stdout!.destroy()
  await once(running.stdout!, 'close')
  expect(await endOf(running)).toEqual([0, null])
}, 20_000)

it('a process whose log’s reader has stopped reading ends with 0 when it is told to', async () => {
  const running = await started()
  running.stdout!.pause()
  await eventually(() => expect(running.stdout!.readableFlowing).toBe(false))
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  expect(await endOf(running)).toEqual([0, null])
}, 20_000)
