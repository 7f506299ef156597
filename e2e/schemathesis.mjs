/**
 * `npm run test:schemathesis`: Schemathesis (https://schemathesis.readthedocs.io, MIT) makes valid and invalid
 * requests from the OpenAPI documents, and sends them to the running system. No answer may be a 5xx, or anything that
 * the document does not name.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { buildAll } from '../dev/commands/build.mjs'
import { installDependencies } from '../dev/install/install.mjs'
import { cacheDir, openProfile, root } from '../dev/profile.mjs'
import { withLifetime } from '../dev/stack/lifetime.mjs'
import { Progress } from '../dev/terminal/progress.mjs'

const version = '4.32.5'
const usage = `npm run test:schemathesis [-- <options>]

  --only <apis>   of query, notifier, command, separated by commas (all)
  --examples <n>  requests of each kind for each operation, at most (100)
  --seed <n>      repeats the requests of an earlier run
  --help

Needs python3 with venv. Schemathesis ${version} is installed into
${join(cacheDir, `schemathesis-${version}`)} once.`

/** For each API. It repeats itself until the time is over. */
const secondsMax = 60
const known = ['query', 'notifier', 'command']
/** Ends the session that all other requests are sent with: asked last, and alone. */
const endsSession = 'logout'

const run = promisify(execFile)

/** @returns {Promise<string>} the program, in a virtual environment of its own */
async function install() {
  const folder = join(cacheDir, `schemathesis-${version}`)
  const program = join(folder, 'bin/st')
  if (existsSync(program)) return program
  rmSync(folder, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', folder])
  await run(join(folder, 'bin/pip'), ['install', '--quiet', `schemathesis==${version}`])
  return program
}

/** A person who is an administrator, so that every route can be reached. @returns {Promise<string>} an access token */
async function administrator({ services, env }) {
  const { exchange } = await import('./http.mjs')
  const { runProgram } = await import('./processes.mjs')
  const person = { email: 'schemathesis@example.org', password: 'a sensible passphrase' }
  const post = async (path, body) => {
    const answer = await exchange(`${services.urls.command}/api/v1/auth/${path}`, { method: 'POST', body })
    if (answer.status >= 300) throw new Error(`${path} was answered ${answer.status}`)
    return answer.body
  }
  await post('register', { ...person, name: 'Schemathesis' })
  await runProgram('command-service/dist/operator/main.js', ['grant-role', person.email, 'admin'], env)
  return (await post('login', person)).accessToken
}

/** @returns {Promise<boolean>} whether nothing was found */
async function test(program, { api, url, token, examples, seed, only }, signal) {
  console.log(`\n== ${api} API${only ? `, ${endsSession}` : ''}`)
  const args = [
    'run',
    join(root, 'docs/api', `${api}-api.openapi.json`),
    ...['--url', url],
    ...['--header', `Authorization: Bearer ${token}`],
    ...['--checks', 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance'],
    ...['--phases', 'examples,coverage,fuzzing'],
    ...['--max-examples', String(examples), '--max-time', String(secondsMax), '--continue-on-failure'],
    // Ids are filtered out of many texts, which it takes for a fault of the document.
    ...['--generation-database', 'none', '--warnings', 'off', '--workers', '2', '--suppress-health-check', 'all'],
    ...(seed === undefined ? [] : ['--seed', seed]),
    ...[only ? '--include-operation-id' : '--exclude-operation-id', endsSession],
  ]
  const child = spawn(program, args, { cwd: cacheDir, stdio: 'inherit', signal })
  const [code] = await once(child, 'exit')
  return code === 0
}

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', default: 'query,notifier,command' },
        examples: { type: 'string', default: '100' },
        seed: { type: 'string' },
        help: { type: 'boolean' },
      },
    })
    if (values.help) return { code: 0, farewell: usage }
    if (!values.only.split(',').every((api) => known.includes(api))) return { code: 2, farewell: usage }
    await installDependencies(progress)
    const name = `schemathesis-${process.pid}`
    await buildAll(await openProfile(name, { ports: 'free' }))
    const program = await install()
    const { openSystem } = await import('./system.mjs')
    const system = await openSystem(name, { progress, signal })
    onEnd(() => system.close())
    const token = await administrator(system)
    const { urls } = system.services
    const ask = { token, examples: values.examples, seed: values.seed }
    const outcomes = []
    const apis = values.only.split(',')
    for (const api of apis) outcomes.push(await test(program, { ...ask, api, url: urls[api] }, signal))
    if (apis.includes('command'))
      outcomes.push(await test(program, { ...ask, api: 'command', url: urls.command, only: true }, signal))
    return outcomes.every(Boolean) ? 0 : 1
  },
  { progress },
)
