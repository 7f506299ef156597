/**
 * Checks .github/workflows without GitHub: least permissions, actions pinned by commit, a time limit on every job, and no text
 * of a stranger in a shell command. With `--actionlint`, actionlint checks them too; Go installs it once.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { root } from '../profile.mjs'

const actionlintVersion = 'v1.7.12'
const folder = '.github/workflows'

/** A commit, and behind it the version that a person reads and an updater compares. */
const pinned = /^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+){0,2}$/

/**
 * @param {string} text a workflow file
 * @param {{ scripts: string[], exists: (path: string) => boolean }} context names of npm scripts; whether a path of the
 *   repository exists
 * @returns {string[]} one sentence per fault
 */
export function workflowFaults(text, { scripts, exists }) {
  const workflow = parse(text)
  const faults = []
  if (!isReadOnly(workflow.permissions)) faults.push('permissions of the workflow must be contents: read, no more.')
  if ('pull_request_target' in (workflow.on ?? {})) faults.push('pull_request_target gives secrets to strangers.')
  for (const [name, job] of Object.entries(workflow.jobs ?? {})) {
    const say = (fault) => faults.push(`${name}: ${fault}.`)
    if (job.permissions !== undefined && !isReadOnly(job.permissions)) say('asks for more than contents: read')
    if (!(job['timeout-minutes'] > 0 && job['timeout-minutes'] <= 120)) say('needs timeout-minutes, at most 120')
    for (const { run } of job.steps ?? []) {
      if (run === undefined) continue
      if (run.includes('${{')) say('a command holds an expression: pass it as a variable')
      for (const [, script] of run.matchAll(/\bnpm run (?:-\S+ )*([\w:-]+)/g))
        if (!scripts.includes(script)) say(`there is no npm script ${script}`)
      for (const [, file] of run.matchAll(/(?:^|&& |\bnode )((?:\.ci|dev)\/[\w./-]+)/gm))
        if (!exists(file)) say(`${file} is not there`)
    }
  }
  // From the text: a parser drops the comment that says which version a commit is.
  for (const [, action] of text.matchAll(/^\s*(?:- )?uses: (.+)$/gm)) {
    if (!pinned.test(action)) faults.push(`${action} must be pinned: owner/name@<commit> # v<version>.`)
  }
  return faults
}

const isReadOnly = (permissions) =>
  typeof permissions === 'object' && Object.entries(permissions).every((each) => each.join() === 'contents,read')

/** @returns {string} the path of actionlint, built from its source unless it is there. @throws {Error} without Go */
function actionlint() {
  const bin = join(homedir(), '.cache/annals/actionlint', actionlintVersion)
  const program = join(bin, 'actionlint')
  if (existsSync(program)) return program
  mkdirSync(bin, { recursive: true })
  console.log(`Installing actionlint ${actionlintVersion} with Go, about 20 s.`)
  execFileSync('go', ['install', `github.com/rhysd/actionlint/cmd/actionlint@${actionlintVersion}`], {
    env: { ...process.env, GOBIN: bin },
    stdio: 'inherit',
    timeout: 300_000,
  })
  return program
}

function checkFiles() {
  const scripts = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts)
  const exists = (path) => existsSync(join(root, path))
  return readdirSync(join(root, folder)).flatMap((file) =>
    workflowFaults(readFileSync(join(root, folder, file), 'utf8'), { scripts, exists }).map(
      (fault) => `${folder}/${file}: ${fault}`,
    ),
  )
}

if (process.argv[1] === import.meta.filename) {
  const faults = checkFiles()
  for (const fault of faults) console.error(fault)
  console.log(`${folder}: ${faults.length} faults.`)
  if (faults.length > 0) process.exitCode = 1
  if (process.argv.includes('--actionlint')) {
    try {
      execFileSync(actionlint(), ['-no-color'], { cwd: root, stdio: 'inherit', timeout: 60_000 })
      console.log('actionlint: no faults.')
    } catch (error) {
      if (error.code === 'ENOENT')
        console.error('actionlint is installed with Go (https://go.dev), which was not found.')
      process.exitCode = 1
    }
  }
}
