import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { typescriptProcess, type TestProcess, type TestScope } from '@annals/platform/testing'
import type { InstanceOptions } from './projector-process'

export interface Instance extends TestProcess {
  /** `<topic>/<partition>`, as the instance said last. */
  owned(): readonly string[]
  /** Stopped by a SIGSTOP, its own included. */
  isFrozen(): boolean
}

/** Starts an instance of the projector; it joins its groups when it is up. */
export function startInstance(scope: TestScope, options: InstanceOptions): Instance {
  let owned: string[] = []
  const instance = scope.process(typescriptProcess(join(__dirname, 'projector-process.ts'), JSON.stringify(options)), {
    onLine(line) {
      // Log lines are objects; there are some when TEST_LOG_LEVEL asks for them.
      if (line.startsWith('[')) owned = JSON.parse(line) as string[]
      else process.stderr.write(`${line}\n`)
    },
  })
  return {
    ...instance,
    owned: () => owned,
    isFrozen() {
      const stat = readFileSync(`/proc/${instance.pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
    },
  }
}
