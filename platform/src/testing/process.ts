import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { TestScope } from './scope'

export interface ProcessOptions {
  /** Default: that of the test. */
  env?: NodeJS.ProcessEnv
  /** Gets what it writes to stdout. Without it stdout is dropped. */
  onLine?: (line: string) => void
  /** Whether its stderr is shown. Default: true. */
  showsErrors?: boolean
}

/** A program that a test has started, and may kill and freeze. */
export interface TestProcess {
  pid: number
  hasEnded(): boolean
  signal(name: NodeJS.Signals): void
  /** Resolves when it has ended. @throws Error when it had ended before. */
  end(name: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

export function startTestProcess(
  scope: TestScope,
  args: readonly string[],
  { env = process.env, onLine, showsErrors = true }: ProcessOptions,
): TestProcess {
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', onLine ? 'pipe' : 'ignore', showsErrors ? 'inherit' : 'ignore'],
  })
  const exited = once(child, 'exit')
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  if (onLine) createInterface({ input: child.stdout! }).on('line', onLine)
  scope.onEnd(async () => {
    // SIGKILL also ends what is frozen.
    if (!hasEnded()) child.kill('SIGKILL')
    await exited
  }, `process ${child.pid}`)
  return {
    pid: child.pid!,
    hasEnded,
    signal: (name) => void child.kill(name),
    async end(name) {
      if (hasEnded()) throw new Error(`process ${child.pid} ended by itself: ${child.exitCode ?? child.signalCode}`)
      child.kill(name)
      await exited
    },
  }
}
