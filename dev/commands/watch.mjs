/**
 * `npm run dev`: the system, and after a change of a source the build of what changed and a restart of the processes that run it.
 * Warnings and errors of the services appear here; all of their output is in the logs.
 */
import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { migrateAll } from './build.mjs'
import { interruption, withLifetime } from '../stack/lifetime.mjs'
import { parseOptions } from '../terminal/options.mjs'
import { logOf } from '../stack/processes.mjs'
import { root, shown } from '../profile.mjs'
import { bold, faint, Progress } from '../terminal/progress.mjs'
import { serviceProcesses } from '../stack/services.mjs'
import { bringUpSystem } from '../stack/system.mjs'
import { run } from '../install/tools.mjs'
import { explain } from '../terminal/trouble.mjs'

/** Editors write a file in several steps, and a branch changes many files. */
const quietMs = 150

/** pino's levels from which on a line is worth interrupting someone. */
const warningLevels = new Set(['warn', 'error', 'fatal'])

const workspaces = ['contracts', 'platform', 'command-service', 'projection-service', 'notifier-service']
const watched = workspaces.flatMap((workspace) =>
  workspace.endsWith('-service') ? [`${workspace}/src`, `${workspace}/migrations`] : [`${workspace}/src`],
)

const usage = `npm run dev [-- --profile <name>]

Runs the system; a change of a source builds what changed and restarts the
processes that run it.

  --profile <name>  a second system beside the first: own data, free ports
  --help
`

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    const { values } = parseOptions({ options: { profile: { type: 'string', default: 'dev' } }, usage })
    if (values.help) return { code: 0, farewell: usage }
    const { profile, stack, services } = await bringUpSystem({ name: values.profile, progress, signal, onEnd })
    onEnd(showWarnings(profile))

    let changed = new Set()
    let busy = false
    let timer
    async function reload() {
      if (busy || changed.size === 0 || signal.aborted) return
      busy = true
      const files = changed
      changed = new Set()
      try {
        await rebuild(profile, stack, services, files)
      } catch (error) {
        if (!signal.aborted) progress.print(explain(error))
      }
      busy = false
      await reload()
    }
    for (const folder of [...watched, 'notifier-service/templates']) {
      const watcher = watch(join(root, folder), { recursive: true }, (_event, file) => {
        changed.add(`${folder}/${file}`)
        clearTimeout(timer)
        timer = setTimeout(() => void reload(), quietMs)
      })
      onEnd(async () => watcher.close())
    }
    console.log(`\n${bold('Watching')} ${workspaces.join(', ')}. Ctrl-C stops everything.`)
    console.log(`Command API ${services.urls.command}, query API ${services.urls.query}, logs ${shown(profile.logs)}/`)
    await interruption(signal)
    return { code: 0, farewell: 'Stopped.' }
  },
  { progress },
)

async function rebuild(profile, stack, services, files) {
  const begun = performance.now()
  const folders = new Set([...files].map((file) => file.split('/')[0]))
  const shared = folders.has('contracts') || folders.has('platform')
  const touched = workspaces.filter((workspace) => workspace.endsWith('-service') && (shared || folders.has(workspace)))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await run(process.execPath, [tsc, '-b', ...touched], {
    cwd: root,
    log: logOf(profile, 'build'),
    what: 'The build',
    remedy: 'correct the errors that the compiler reports; the services keep running as they were.',
    timeoutMs: 120_000,
    onLine: (line) => progress.print(line),
  })
  if ([...files].some((file) => file.includes('/migrations/'))) await migrateAll(stack)
  const names = serviceProcesses.filter(({ main }) => touched.includes(main.split('/')[0])).map(({ name }) => name)
  for (const name of names) {
    await services.kill(name, 'SIGTERM')
    await services.restart(name)
  }
  progress.print(faint(`  reloaded ${names.join(', ')} in ${((performance.now() - begun) / 1000).toFixed(1)} s`))
}

/** @returns {() => Promise<void>} ends it */
function showWarnings(profile) {
  const tails = serviceProcesses.map(({ name }) => {
    const tail = spawn('tail', ['-n', '0', '-F', logOf(profile, name)], { stdio: ['ignore', 'pipe', 'ignore'] })
    createInterface({ input: tail.stdout }).on('line', (line) => {
      const warning = warningOf(line)
      if (warning) progress.print(`  ${bold(name)}: ${warning}`)
    })
    return tail
  })
  return async () => {
    for (const tail of tails) tail.kill()
  }
}

function warningOf(line) {
  try {
    const { level, msg, err } = JSON.parse(line)
    return warningLevels.has(level) ? [msg, err?.message].filter(Boolean).join(': ') : undefined
  } catch {
    // Not a log line of ours: a crash speaks so.
    return line.trim() || undefined
  }
}
