import { hostname, userInfo } from 'node:os'
import { InvalidArgumentError, type Command } from 'commander'
import { placeOf } from '@annals/contracts'
import type { Snapshot } from '../../engine/tables/generation'
import type { Projection } from '../../engine/definition/projection'
import { projectionNamed, projections } from '../../projections'
import type { Point } from '../source/event-source'
import { exitCodes } from '../exit-code'
import { snapshotOf } from '../../engine/tables/snapshot-label'

/** Who runs this command, as the operating system knows it. */
export const operator = (): string => `${userInfo().username}@${hostname()}`

/** Parses names of read models, one after the other. */
export function projectionArgument(name: string, before: Projection[] = []): Projection[] {
  const projection = projectionNamed(name)
  if (projection) return [...before, projection]
  throw new InvalidArgumentError(`There are: ${projections.map((known) => known.name).join(', ')}.`)
}

export function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 to 9999999.')
  return Number(text)
}

/** How many are told of. */
export function limitArgument(text: string): number {
  const limit = positiveInteger(text)
  if (limit > 1_000) throw new InvalidArgumentError('It is 1000 at most.')
  return limit
}

/** Those that were named, each once, or all of them; none at all is a wrong call. */
export function chosenProjections(
  named: readonly Projection[] | undefined,
  { all }: { all?: true },
  command: Command,
): Projection[] {
  const chosen = all ? [...projections] : [...new Set(named)]
  if (chosen.length === 0) command.error('error: name projections, or --all', { exitCode: exitCodes.usage })
  return chosen
}

const dateForm = /^\d{4}-\d\d-\d\d$/
const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/

/** `Date.parse` takes 30 February for 2 March. */
function isDay(text: string): boolean {
  const day = Date.parse(`${text.slice(0, 10)}T00:00:00Z`)
  return !Number.isNaN(day) && new Date(day).toISOString().startsWith(text.slice(0, 10))
}

/** ISO 8601 with a zone, or a day of the calendar, which begins at midnight UTC. @returns epoch ms */
function timeArgument(text: string): number {
  const isTime = (dateForm.test(text) || timeForm.test(text)) && isDay(text)
  const at = isTime ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw new InvalidArgumentError('A time is like 2026-11-23T10:00:00Z, or a day, 2026-11-23.')
  return at
}

/** A position of the log, or a time. */
export function pointArgument(text: string): Point {
  if (/^\d{1,18}$/.test(text)) return { kind: 'position', position: BigInt(text) }
  return { kind: 'time', at: timeArgument(text) }
}

export function labelArgument(text: string): Snapshot {
  const snapshot = snapshotOf(text)
  if (snapshot) return snapshot
  throw new InvalidArgumentError(
    'A label has 1 to 15 lower-case letters, digits and _, begins with a letter, and is not "live".',
  )
}

/** One side of a comparison. */
export type Standing = { kind: 'snapshot'; snapshot: Snapshot | 'live' } | { kind: 'point'; point: Point }

export function standingArgument(text: string): Standing {
  if (text === 'live') return { kind: 'snapshot', snapshot: 'live' }
  if (/^\d/.test(text)) return { kind: 'point', point: pointArgument(text) }
  return { kind: 'snapshot', snapshot: labelArgument(text) }
}

export function streamArgument(text: string): string {
  if (placeOf(text)) return text
  throw new InvalidArgumentError('Read models are fed from streams like payment-<id>, user-<id> and session-<id>.')
}

export function userArgument(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) return text
  throw new InvalidArgumentError('A user is named by a UUID in lower case.')
}
