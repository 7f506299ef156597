import { parseOptions } from '../../dev/terminal/options.mjs'
import { Trouble } from '../../dev/terminal/trouble.mjs'

/** What can be run, in this order; scenarios/ holds them. */
const scenarioNames = ['processes', 'rebuild', 'lanes', 'servers', 'restores', 'silence']

/** What the scenario `processes` can kill: processes of the system, and servers. */
export const targets = {
  services: ['relay', 'projector', 'notifier', 'command'],
  servers: ['eventstore', 'kafka'],
}

/** What the scenario `restores` can set back or make anew, in this order; restores/ holds them. */
const stepNames = ['topic', 'topics', 'kafka', 'log', 'read-models', 'deliveries', 'keys', 'redis', 'redis-restart']
const targetNames = Object.values(targets).flat()

export const usage = `npm run test:faults [-- <options>]

  --only <scenarios>   the scenarios to run, one after the other (all):
    processes            kills every process of the system in turn, and two of
                         its servers
    rebuild              rebuilds read models of a long log, and kills the
                         rebuilds
    lanes                makes read models leave their lane, rebuilds them and
                         rolls them back, while instances of the projector
                         start, stop, freeze and are killed
    servers              kills, freezes and restarts the servers: of three Kafka
                         nodes a leader every 10 s, the others in turn
    restores             sets each store back to an older copy, or recreates
                         it, and follows the messages of those who refuse
    silence              makes each connection of each process fall silent:
                         nothing is closed, nothing arrives
  --commands <n>       acknowledged commands before the load ends (3000)
  --kills <n>          kills of each target (10)
  --targets <names>    of ${targetNames.slice(0, 4).join(', ')},
                       ${targetNames.slice(4).join(', ')}; default: all
  --steps <names>      restores: of ${stepNames.slice(0, 6).join(', ')},
                       ${stepNames.slice(6).join(', ')}; default: all
  --events <n>         rebuild: events of the past in the log (200000)
  --rebuilds <n>       rebuild: how many, each killed at least once (100)
  --minutes <n>        lanes, servers: for how long faults begin (5)
  --silences <n>       silence: only the first n of them (all)
  --silent <seconds>   silence: how long one lasts that ends (20)
  --json <file>        the report for programs; with several scenarios, each
                       under its name
  --seed <n>           repeats the order of commands and kills of an earlier run
  --break <promise>    breaks one promise on purpose after the run: the exit code
                       must be 1
  --self-check         breaks all, one after the other, and fails unless the check
                       finds each
  --keep               leaves data and logs
  --help
`

/** What `--break` can break wherever people write and read, in an order in which none hides another; breaks.mjs says how. */
const ofTheSystem = [
  'ack',
  'topic-double',
  'relay-checkpoint',
  'topic-order',
  'topic-loss',
  'read-model-row',
  'read-model-count',
  'projection-checkpoint',
  'delivery',
  'delivery-double',
  'attempt-double',
  'attempt',
  'payment-gateway-double',
  'payment-gateway-lost',
  'payment-gateway-stray',
  'inbox',
  'log',
]

/** By scenario; those of a scenario's own stand there. @type {Record<string, string[]>} */
export const promises = {
  processes: ofTheSystem,
  rebuild: ['live-row', 'query-down'],
  lanes: ['applied-twice', 'left-out', 'stream-revision'],
  servers: ofTheSystem,
  restores: ['logged-in', 'skip-remedy'],
  silence: ofTheSystem,
}

/**
 * @typedef {object} Options
 * @property {string[]} only scenarios, in the order in which they run
 * @property {number} commands
 * @property {number} kills of each target
 * @property {string[]} targets
 * @property {string[]} steps of the scenario `restores`
 * @property {number} events of the past, before anything is rebuilt
 * @property {number} rebuilds each of them killed
 * @property {number} minutes how long harm is done, where it is done by time
 * @property {number} silences at most
 * @property {number} silentSeconds
 * @property {number} seed
 * @property {string} [json] file
 * @property {string[]} breaks names
 * @property {boolean} selfCheck
 * @property {boolean} keep
 * @property {boolean} help the usage is all that is wanted
 */

/** @param {string[]} args @returns {Options} @throws {Trouble} */
export function readOptions(args) {
  const values = readArguments(args)
  const chosen = list('only', values.only, scenarioNames)
  const only = scenarioNames.filter((name) => chosen.includes(name))
  const breakable = [...new Set(only.flatMap((name) => promises[name]))]
  const unknown = values.break.find((name) => !breakable.includes(name))
  if (unknown !== undefined) throw new Trouble(`"${unknown}" can not be broken; --break takes ${breakable.join(', ')}.`)
  return {
    only,
    targets: list('targets', values.targets, targetNames),
    steps: list('steps', values.steps, stepNames),
    commands: whole('commands', values.commands, 10, 100_000),
    kills: whole('kills', values.kills, 0, 100),
    events: whole('events', values.events, 1_000, 1_000_000),
    rebuilds: whole('rebuilds', values.rebuilds, 1, 1_000),
    minutes: positive('minutes', values.minutes, 60),
    silences: whole('silences', values.silences, 1, 100),
    silentSeconds: positive('silent', values.silent, 600),
    seed: whole('seed', values.seed, 0, 2 ** 32 - 1),
    json: values.json,
    breaks: values.break,
    selfCheck: values['self-check'],
    keep: values.keep,
    help: values.help,
  }
}

function readArguments(args) {
  const options = {
    commands: { type: 'string', default: '3000' },
    kills: { type: 'string', default: '10' },
    minutes: { type: 'string', default: '5' },
    only: { type: 'string' },
    targets: { type: 'string' },
    steps: { type: 'string' },
    events: { type: 'string', default: '200000' },
    rebuilds: { type: 'string', default: '100' },
    json: { type: 'string' },
    silences: { type: 'string', default: '100' },
    silent: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(process.pid) },
    break: { type: 'string', multiple: true, default: [] },
    'self-check': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  }
  return parseOptions({ args, options, usage }).values
}

/** Names separated by commas; all of them when none are given. */
function list(option, text, known) {
  if (text === undefined) return known
  const names = text.split(',')
  const stranger = names.find((name) => !known.includes(name))
  if (stranger === undefined) return names
  throw new Trouble(`"${stranger}" is unknown; --${option} takes ${known.join(', ')}.`)
}

function whole(name, text, min, max) {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new Trouble(`--${name} has to be a whole number from ${min} to ${max}, not "${text}".`)
}

function positive(name, text, max) {
  const value = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= max) return value
  throw new Trouble(`--${name} has to be a number above 0, up to ${max}, not "${text}".`)
}
