import { parseOptions } from '../dev/terminal/options.mjs'
import { Trouble } from '../dev/terminal/trouble.mjs'

/** The parts in the order in which they run: each leaves what the next one needs. */
export const partNames = ['relay', 'projection', 'weight', 'visible', 'replay', 'lanes', 'sessions', 'commands']

export const usage = `npm run bench -- [--events <n>] [--only <part,…>] [--json <file>]

  --events <n>     events in the log that is relayed, projected and replayed
                   (default 300000)
  --only <part,…>  of ${partNames.join(', ')};
                   default: all
  --json <file>    also writes the figures to this file
  --skip-build     measures the last build
  --profile        writes a CPU profile of every process of the system to
                   .annals/bench-profiles
  --help

npm run bench -- --only replay [--events <n>] [--emmett-events <n>]

  The replay alone, at length: all its marks, over a log of <n> events
  (default 1000000) and one of five times as many, and Emmett beside it. It
  takes about an hour and some 20 GB of disk; with --events 20000 some minutes.

  --emmett-events <n>  events over which Emmett is compared with the
                       replay (default: as --events; 0: no comparison)
`

const eventsMin = 1_000
/** What 24 GB of memory and a few minutes allow; the seeder and the checks hold one number or name an event. */
const eventsMax = 5_000_000
/** The log grows to five times as many. */
const longEventsMax = 1_000_000

/**
 * @param {string[]} args
 * @returns {{ events: number, emmettEvents: number, parts: string[], long: boolean, json?: string, skipBuild: boolean,
 *   profile: boolean, help: boolean }} `long`: the replay alone, with all its marks
 * @throws {Trouble} when they make no sense
 */
export function readOptions(args) {
  const { values } = parseOptions({
    args,
    usage,
    options: {
      events: { type: 'string' },
      'emmett-events': { type: 'string' },
      only: { type: 'string' },
      json: { type: 'string' },
      'skip-build': { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
    },
  })
  const parts = values.only === undefined ? partNames : values.only.split(',')
  const unknown = parts.find((part) => !partNames.includes(part))
  if (unknown !== undefined) throw new Trouble(`--only takes ${partNames.join(', ')}; not "${unknown}".`)
  const long = parts.every((part) => part === 'replay')
  const events = countOf('events', values.events ?? (long ? '1000000' : '300000'), {
    least: eventsMin,
    most: long ? longEventsMax : eventsMax,
  })
  if (!long && values['emmett-events'] !== undefined)
    throw new Trouble('--emmett-events is of use with --only replay alone.')
  return {
    events,
    emmettEvents: countOf('emmett-events', values['emmett-events'] ?? String(events), { least: 0, most: events }),
    parts: partNames.filter((part) => parts.includes(part)),
    long,
    ...(values.json ? { json: values.json } : {}),
    skipBuild: values['skip-build'],
    profile: values.profile,
    help: values.help,
  }
}

function countOf(option, text, { least, most }) {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < least || count > most)
    throw new Trouble(`--${option} takes a whole number from ${least} to ${most}; not "${text}".`)
  return count
}
