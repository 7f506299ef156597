import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'

/**
 * The command line imports this first. A throttled rebuild gives way to everything else on this machine, beginning
 * with the loading of its modules, which alone takes half a second of a core. Where the system has no such thing, or
 * does not allow it, all are equal, as without a throttle.
 * @see https://man7.org/linux/man-pages/man7/sched.7.html "The nice value and group scheduling"
 */
if (process.argv.some((argument) => argument.startsWith('--throttle'))) {
  // Linux keeps a priority for each thread, and those of the collector are there already. Later ones inherit it.
  for (const thread of found(() => readdirSync('/proc/self/task').map(Number)) ?? [0])
    found(() => setPriority(thread, constants.priority.PRIORITY_LOW))
  // It counts among the processes of a session only; between sessions, that of the session does.
  if (found(hasOwnSession)) found(() => writeFileSync('/proc/self/autogroup', String(constants.priority.PRIORITY_LOW)))
}

function found<T>(get: () => T): T | undefined {
  try {
    return get()
  } catch {
    return undefined
  }
}

interface ProcessFacts {
  pid: number
  parent: number
  session: number
  terminal: number
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function factsOf(process: string): ProcessFacts {
  const stat = readFileSync(`/proc/${process}/stat`, 'utf8')
  // The name, in parentheses, may hold anything.
  const [, parent, , session, terminal] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  return { pid: Number.parseInt(stat, 10), parent: parent!, session: session!, terminal: terminal! }
}

/**
 * Whether nobody but this process is in its session, save, where no terminal belongs to it, those that wait for it (npm, the
 * shell of a job). A shell that people go on typing into must not stay slow.
 */
function hasOwnSession(): boolean {
  const own = factsOf('self')
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => found(() => factsOf(name)) ?? [])
  const mates = new Map(all.filter(({ session }) => session === own.session).map((each) => [each.pid, each]))
  mates.delete(own.pid)
  for (let { parent } = own; own.terminal === 0 && mates.has(parent);) {
    const next = mates.get(parent)!.parent
    mates.delete(parent)
    parent = next
  }
  return mates.size === 0
}
