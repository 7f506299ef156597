/** `npm run contracts -- check | release | docs`: what is promised of events, and whether it is kept. */
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { writeDocuments } from '../checks/contracts/documents.mjs'
import { readGolden, readReleased, releasedFile } from '../checks/contracts/released.mjs'
import { explain } from '../terminal/trouble.mjs'

const require = createRequire(import.meta.url)
const usage = `npm run contracts -- <command>

  check    compares today's event schemas with the last release, and takes the
           golden corpus through every upcast and every projection's fold; exit
           code 1 when anything is found
             --direction backward|forward|full  which direction to check
                                                (default: full)
             --log             also checks whole streams of the running stack's
                               log
             --sample <percent>  how many of those streams (default: 10)
  release  records today's schemas and golden examples as released; refuses when
           \`check\` fails
  docs     writes docs/api/*.json from the schemas
             --check           only says whether they are current`

class WrongCall extends Error {}

/**
 * @param {{ direction?: any, log?: boolean, sample?: string }} [options]
 * @returns {Promise<boolean>} whether nothing was found
 */
async function check({ direction = 'full', log = false, sample = '10' } = {}) {
  const percent = Number(sample)
  if (!['backward', 'forward', 'full'].includes(direction)) throw new WrongCall(`no direction: ${direction}`)
  if (!(percent > 0 && percent <= 100)) throw new WrongCall(`--sample is a percentage, not ${sample}`)
  const { currentSchemas } = require('@annals/contracts/tooling')
  const { projections } = require('@annals/projection-service')
  const { foldFindings, goldenFindings, schemaFindings } = await import('../checks/contracts/findings.mjs')

  const { schemas, golden } = readReleased()
  const current = currentSchemas()
  const corpus = readGolden()
  const found = [
    ...schemaFindings(schemas, current, direction),
    ...goldenFindings(golden, corpus),
    ...(await foldFindings(projections, corpus)),
  ]
  for (const line of found) console.error(`  ${line}`)
  const fresh = Object.entries(current).map(([type, { version }]) => `${type}.v${version}`)
  const unreleased = fresh.filter((name) => !schemas[name])
  if (unreleased.length > 0) console.log(`Not released yet: ${unreleased.join(', ')}`)
  console.log(
    found.length > 0
      ? `${counted(found.length, 'finding')}; release nothing before they are corrected.`
      : `${Object.keys(schemas).length} released schemas hold (${direction}), ${corpus.length} golden examples decode and ` +
          `fold in ${projections.length} projections.`,
  )
  const logHolds = !log || (await checkLog(projections, percent))
  return found.length === 0 && logHolds
}

async function checkLog(projections, percent) {
  const { checkRunningLog } = await import('../checks/contracts/log-sample.mjs')
  const { streams, events, found, hasKeys } = await checkRunningLog(projections, percent)
  for (const line of found) console.error(`  ${line}`)
  const looked = `${percent} % of the log, ${counted(streams, 'stream')} with ${counted(events, 'event')}`
  const personal = hasKeys ? '' : ' (no access to keys: personal data read as erased)'
  console.log(
    found.length > 0
      ? `${looked}: ${counted(found.length, 'finding')}; this release cannot read what was written.${personal}`
      : `${looked}: all decode and fold.${personal}`,
  )
  return found.length === 0
}

const counted = (count, what) => `${count} ${what}${count === 1 ? '' : 's'}`

async function release() {
  if (!(await check())) return false
  const schemas = { ...readReleased().schemas }
  for (const [type, { version, schema }] of Object.entries(require('@annals/contracts/tooling').currentSchemas()))
    schemas[`${type}.v${version}`] = schema
  const golden = Object.fromEntries(readGolden().map(({ name, hash }) => [name, hash]))
  writeFileSync(releasedFile, `${JSON.stringify({ schemas, golden }, null, 2)}\n`)
  console.log('Released: contracts/released.json')
  return true
}

function printUsage() {
  console.log(usage)
  return true
}

/** Options of each command, and what it does; `true`: all is well. */
const commands = {
  check: {
    options: { direction: { type: 'string' }, log: { type: 'boolean' }, sample: { type: 'string' } },
    run: check,
  },
  release: { options: {}, run: release },
  docs: { options: { check: { type: 'boolean' } }, run: ({ check: onlyCheck = false }) => writeDocuments(onlyCheck) },
}

function readCall(given) {
  if (given.includes('--help')) return () => printUsage()
  const [name, ...args] = given
  const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined
  if (!command) throw new WrongCall(name ? `unknown command: ${name}` : 'no command given')
  try {
    const { values } = parseArgs({ args, options: command.options })
    if ('sample' in values && !('log' in values)) throw new Error('--sample goes with --log')
    return () => command.run(values)
  } catch (error) {
    throw new WrongCall(error.message)
  }
}

try {
  process.exitCode = (await readCall(process.argv.slice(2))()) ? 0 : 1
} catch (error) {
  const isUsage = error instanceof WrongCall
  console.error(isUsage ? `${error.message}\n\n${usage}` : explain(error))
  process.exitCode = isUsage ? 2 : 1
}
