import { decodeEvent, sealedPartOf } from '@annals/contracts'
import { breaks, compareSchemas } from '@annals/contracts/tooling'
import { refusalsOfExamples, refusalsOfStream } from '@annals/projection-service'

/**
 * Event schemas that break a promise to readers.
 *
 * @param {Record<string, import('@annals/contracts/tooling').JsonSchema>} released by `<type>.v<version>`
 * @param {Record<string, { version: number, schema: import('@annals/contracts/tooling').JsonSchema }>} current by type
 * @param {import('@annals/contracts/tooling').Direction} asked
 * @returns {string[]} one line each
 */
export function schemaFindings(released, current, asked) {
  const found = []
  for (const [name, schema] of Object.entries(released)) {
    const [, type, version] = name.match(/^(.+)\.v(\d+)$/)
    const now = current[type]
    if (!now) found.push(`${type}: the type is gone; events of it are in logs for ever`)
    else if (now.version < Number(version))
      found.push(`${type}: version ${version} was released, ${now.version} is older`)
    else if (now.version === Number(version)) {
      for (const one of compareSchemas(schema, now.schema)) {
        if (!breaks(asked, one)) continue
        const direction = one.direction === 'both' ? 'backward and forward' : one.direction
        found.push(`${name}${one.pointer}: ${one.what} (${direction}); write a new version with an upcast instead`)
      }
    }
  }
  return found
}

/**
 * Golden examples that are gone, changed, or not readable as today's version, through every upcast.
 *
 * @param {Record<string, string>} released SHA-256 by file name
 * @param {ReturnType<typeof import('./released.mjs').readGolden>} golden
 * @returns {string[]}
 */
export function goldenFindings(released, golden) {
  const found = []
  const hashes = new Map(golden.map(({ name, hash }) => [name, hash]))
  for (const [name, hash] of Object.entries(released)) {
    if (!hashes.has(name)) found.push(`golden/${name}: the example is gone`)
    else if (hashes.get(name) !== hash)
      found.push(`golden/${name}: the example was changed; put it back and add a new version`)
  }
  for (const { name, example } of golden) {
    const result = decodeEvent(example.recorded, example.opened)
    if (result.kind !== 'event') found.push(`golden/${name}: does not decode: ${reasonOf(result)}`)
  }
  return found
}

/**
 * Golden examples that a projection's fold refuses.
 *
 * @param {readonly import('@annals/projection-service').Projection[]} projections
 * @param {ReturnType<typeof import('./released.mjs').readGolden>} golden
 * @returns {Promise<string[]>}
 */
export async function foldFindings(projections, golden) {
  const refusals = await refusalsOfExamples(
    projections,
    golden.map(({ example }) => example),
  )
  const nameOf = ({ type, version }) => `golden/${type}.v${version}.json`
  return refusals.map(({ projection, version, type, reason }) => {
    return `${nameOf({ type, version })}: projection ${projection} refuses it: ${reason}`
  })
}

/**
 * Events of one stream of a log that today's release does not read, or that a projection's fold refuses.
 *
 * @param {readonly import('@annals/projection-service').Projection[]} projections
 * @param {readonly import('@annals/contracts').RecordedEvent[]} events all of the stream's, in order
 * @param {import('@annals/contracts').OpenAll} openAll
 * @returns {Promise<string[]>}
 */
export async function streamFindings(projections, events, openAll) {
  const found = []
  const sealed = events.map(sealedPartOf)
  const parts = sealed.filter((part) => part !== undefined)
  const opened = parts.length > 0 ? await openAll(parts) : []
  let next = 0
  for (const [i, event] of events.entries()) {
    const result = sealed[i] ? decodeEvent(event, opened[next++]) : decodeEvent(event)
    const where = `${event.stream} revision ${event.revision}, ${event.type}`
    if (result.kind !== 'event') found.push(`${where}: does not decode: ${reasonOf(result)}`)
  }
  for (const { projection, stream, revision, type, reason } of await refusalsOfStream(projections, events, openAll))
    found.push(`${stream} revision ${revision}, ${type}: projection ${projection} refuses it: ${reason}`)
  return found
}

/** @param {Exclude<import('@annals/contracts').DecodeResult, { kind: 'event' }>} result */
function reasonOf(result) {
  if (result.kind === 'invalid') return result.reason
  return result.kind === 'newer-version' ? `version ${result.version} is newer than this release` : 'unknown type'
}
