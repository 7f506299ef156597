import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { typescriptProcess } from '@annals/platform/testing'
import type { InstanceOptions } from './projector-process'

export interface Instance {
  /** `<read model> <topic>/<partition>`, as the instance said last. */
  owned(): readonly string[]
  signal(name: NodeJS.Signals): void
  /** Resolves when the process has ended. */
  end(name: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Stopped by a SIGSTOP, its own included. */
  isFrozen(): boolean
}

/** Starts an instance of the projector; it joins its groups when it is up. */
export function startInstance(options: InstanceOptions): Instance {
  const child = spawn(
    process.execPath,
    typescriptProcess(join(__dirname, 'projector-process.ts'), JSON.stringify(options)),
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  let owned: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    // Log lines are objects; there are some when TEST_LOG_LEVEL asks for them.
    if (line.startsWith('[')) owned = JSON.parse(line) as string[]
    else process.stderr.write(`${line}\n`)
  })
  return {
    owned: () => owned,
    signal: (name) => void child.kill(name),
    async end(name) {
      if (child.exitCode === null && child.signalCode === null) child.kill(name)
      await exited
    },
    isFrozen() {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
    },
  }
}
