/** `npm run stack -- up|down|status|logs|reset|env`: the servers of the native stack, for daily work. */
import { existsSync, rmSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { dotenvText, exportLines, readEnvironment } from '../stack/environment.mjs'
import { removeContainers } from '../stack/docker.mjs'
import { installDependencies } from '../install/install.mjs'
import { writeChecksums } from '../install/kafka/jars.mjs'
import { serversOf, startStack, stopServers } from '../stack/native.mjs'
import { allRunning, findRunning, logOf } from '../stack/processes.mjs'
import { parseOptions } from '../terminal/options.mjs'
import { openProfile, profileExists, root, shown } from '../profile.mjs'
import { bold, faint, Progress } from '../terminal/progress.mjs'
import { explain, Trouble } from '../terminal/trouble.mjs'

const usage = `npm run stack -- <command> [--profile <name>]

  up [--only kafka,postgres] [--kafka-nodes 3] [--ports free]
                                        start every server that is not running, and wait until all are ready
  down                                  stop them; data stays
  status                                what runs, where, and since when
  logs [server]                         follow the logs
  reset                                 stop them and delete the profile's data
  dotenv                                print a .env with fresh secrets, for docker-compose.yml
  env                                   print \`export …\` lines: eval "$(node dev/commands/stack.mjs env)"
`

const commands = {
  async up({ name, values, progress }) {
    const nodes = values['kafka-nodes']
    if (nodes !== undefined && !['1', '3'].includes(nodes)) throw new Trouble('--kafka-nodes is 1 or 3.')
    if (values.ports !== undefined && values.ports !== 'free') throw new Trouble('--ports has one value: free.')
    await installDependencies(progress)
    const stack = await startStack({
      profile: name,
      engine: values.only ? 'native' : 'auto',
      progress,
      ...(values.ports ? { ports: 'free' } : {}),
      ...(values.only ? { only: values.only.split(',') } : {}),
      ...(nodes ? { kafkaNodes: nodes === '3' ? 3 : 1 } : {}),
    })
    console.log(`\nThe stack is up. Its environment: ${shown(stack.profile.envFile)}`)
    console.log(`In a shell:  eval "$(node dev/commands/stack.mjs env${name === 'dev' ? '' : ` --profile ${name}`})"`)
  },

  async down({ name }) {
    const profile = await known(name)
    const names = allRunning(profile).map((running) => running.name)
    await stopServers(profile)
    console.log(
      names.length > 0
        ? `Stopped ${names.toSorted().join(', ')}. The data stays in ${shown(profile.data)}.`
        : 'Nothing was running.',
    )
  },

  async status({ name }) {
    const profile = await known(name)
    const nodes = existsSync(join(profile.data, 'kafka3')) ? 3 : 1
    let missing = 0
    for (const { name: server, title, ports } of serversOf(nodes)) {
      const running = findRunning(profile, server)
      if (!running) missing += 1
      const state = running ? `pid ${running.pid}` : faint('not running')
      console.log(`  ${title.padEnd(18)} 127.0.0.1:${String(profile.ports[ports[0]]).padEnd(6)} ${state}`)
    }
    if (missing > 0) process.exitCode = 1
  },

  async logs({ name, positionals: [server] }) {
    const profile = await known(name)
    const names = server ? [server] : serversOf(1).map((each) => each.name)
    const files = names.map((each) => logOf(profile, each)).filter((file) => existsSync(file))
    if (files.length === 0) throw new Trouble(`There is no log of ${server ?? 'this stack'} yet.`)
    const tail = spawn('tail', ['-n', '40', '-F', ...files], { stdio: 'inherit' })
    await new Promise((resolve) => tail.once('close', resolve))
  },

  async reset({ name }) {
    const profile = await known(name)
    await stopServers(profile)
    await removeContainers(profile)
    rmSync(profile.dir, { recursive: true, force: true })
    console.log(`Deleted ${shown(profile.dir)}.`)
  },

  async env({ name }) {
    console.log(exportLines(readEnvironment(await known(name))))
  },

  async dotenv() {
    console.log(dotenvText())
  },

  async 'kafka-checksums'() {
    await writeChecksums(join(root, '.annals/kafka-download.log'))
    console.log('Wrote dev/install/kafka/jars.sha256. Read the difference before you commit it.')
  },
}

async function known(name) {
  if (!profileExists(name)) {
    throw new Trouble(`There is no profile "${name}".`, { remedy: '`npm run stack -- up` makes it.' })
  }
  return openProfile(name)
}

const progress = new Progress()
try {
  const { values, positionals } = parseOptions({
    allowPositionals: true,
    usage,
    options: {
      profile: { type: 'string' },
      'kafka-nodes': { type: 'string' },
      ports: { type: 'string' },
      only: { type: 'string' },
    },
  })
  const [command, ...rest] = positionals
  if (values.help || !command) {
    console.log(usage)
  } else if (!Object.hasOwn(commands, command)) {
    throw new Trouble(`"${command}" is not a command.\n\n${usage}`)
  } else {
    await commands[command]({ name: values.profile ?? 'dev', values, positionals: rest, progress })
  }
} catch (error) {
  progress.close()
  console.error(`\n${bold('Stopped.')} ${explain(error)}`)
  process.exitCode = 1
}
