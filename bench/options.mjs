import { parseArgs } from 'node:util'
import { Trouble } from '../dev/trouble.mjs'

/** The parts in the order in which they run: each leaves what the next one needs. */
export const partNames = ['relay', 'projection', 'visible', 'replay', 'commands']

export const usage = `npm run bench -- [--events <n>] [--only <part,…>] [--json <file>]

  --events <n>     events in the log that is relayed, projected and replayed (default 300000)
  --only <part,…>  of ${partNames.join(', ')}; default: all
  --json <file>    writes the figures there, too
  --skip-build     measures what was built last
  --profile        writes a CPU profile of every process of the system to .annals/bench-profiles
  --help
`

const eventsMin = 1_000
/** What 24 GB of memory and a few minutes allow; the seeder and the checks hold one number or name an event. */
const eventsMax = 5_000_000

/**
 * @param {string[]} args
 * @returns {{ events: number, parts: string[], json?: string, skipBuild: boolean, profile: boolean, help: boolean }}
 * @throws {Trouble} when they make no sense
 */
export function readOptions(args) {
  let values
  try {
    ;({ values } = parseArgs({
      args,
      options: {
        events: { type: 'string', default: '300000' },
        only: { type: 'string' },
        json: { type: 'string' },
        'skip-build': { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }))
  } catch (error) {
    throw new Trouble(error.message, { remedy: usage })
  }
  const events = Number(values.events)
  if (!/^\d+$/.test(values.events) || events < eventsMin || events > eventsMax)
    throw new Trouble(`--events takes a whole number from ${eventsMin} to ${eventsMax}; not "${values.events}".`)
  const parts = values.only === undefined ? partNames : values.only.split(',')
  const unknown = parts.find((part) => !partNames.includes(part))
  if (unknown !== undefined) throw new Trouble(`--only takes ${partNames.join(', ')}; not "${unknown}".`)
  return {
    events,
    parts: partNames.filter((part) => parts.includes(part)),
    ...(values.json ? { json: values.json } : {}),
    skipBuild: values['skip-build'],
    profile: values.profile,
    help: values.help,
  }
}
